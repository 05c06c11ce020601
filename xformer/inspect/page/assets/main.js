// The page starts: data, state, views.

const page = createPage();
const first = {...DEFAULTS, view: page.meta.view};
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
