// The page starts: data, state, views.

function start() {
  const page = createPage();
  const {view, layer, head} = page.meta;
  const first = {...DEFAULTS, view, layer, head};
  const limits = {
    run: page.meta.runs.length,
    text: page.run(0).texts.length,
    layer: Math.max(...page.meta.runs.map(run => run.layers)),
    head: Math.max(...page.meta.runs.map(run => run.heads)),
  };
  const state = createState({...first, ...fromHash(location.hash, first, limits)});
  followAddress(state, first, limits);
  const help = helpLine();
  document.querySelector("main").append(help);
  followKeys(page, state, help);
  showViews(document.getElementById("views"), page, state);
  document.getElementById("loading").remove();
}

try {
  start();
} catch (error) {
  document.getElementById("loading").textContent = `The page cannot be drawn: ${error.message}`;
  throw error;
}
