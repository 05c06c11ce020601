// The views of the page, as tabs. A file registers one; it is made when it is first opened.
//
//   registerView({id, title, hint, available(page), create(root, page, state)})
//
// `create` may return {update(now, changed)}: called in each frame in which the state has changed while the
// view is open, and with every name when it is opened again.

const VIEWS = [];

function registerView(view) {
  VIEWS.push(view);
}

function showViews(root, page, state) {
  const views = VIEWS.filter(view => view.available(page));
  const tabs = new Map();
  const panels = new Map();
  const made = new Map();
  const bar = h("div", {role: "tablist", class: "views", "aria-label": "Views", hidden: views.length < 2});
  root.append(bar);
  for (const view of views) {
    const tab = h("button", {
      type: "button", role: "tab", id: `tab-${view.id}`, "aria-controls": `view-${view.id}`, title: view.hint,
      onclick: () => state.set({view: view.id}),
    }, view.title);
    const panel = h("div", {
      role: "tabpanel", id: `view-${view.id}`, class: "view", "aria-labelledby": `tab-${view.id}`, hidden: true,
    });
    tabs.set(view.id, tab);
    panels.set(view.id, panel);
    bar.append(tab);
    root.append(panel);
  }
  bar.addEventListener("keydown", event => {
    const step = {ArrowRight: 1, ArrowLeft: -1}[event.key];
    if (!step) return;
    event.preventDefault();
    event.stopPropagation();
    const place = views.findIndex(view => view.id === state.get().view);
    const next = views[(place + step + views.length) % views.length];
    state.set({view: next.id});
    tabs.get(next.id).focus();
  });

  const show = (now, changed) => {
    const open = views.find(view => view.id === now.view) ?? views[0];
    if (!open) return;
    for (const view of views) {
      const chosen = view === open;
      panels.get(view.id).hidden = !chosen;
      tabs.get(view.id).setAttribute("aria-selected", chosen);
      tabs.get(view.id).tabIndex = chosen ? 0 : -1;
    }
    const first = !made.has(open.id);
    if (first) made.set(open.id, open.create(panels.get(open.id), page, state) ?? {});
    const all = first || changed.has("view");
    made.get(open.id).update?.(now, all ? new Set(Object.keys(now)) : changed);
  };
  state.on(show);
  show(state.get(), new Set(Object.keys(state.get())));
}
