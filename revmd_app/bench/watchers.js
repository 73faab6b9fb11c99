// What `revmd bench app` adds to the page, before anything else runs: when a key was pressed, when a plot's data
// changed, how many animation frames drew something, and a way to the viewer, which hides in shadow roots.
window.revmdWatch = (() => {
  const watch = {keyAt: 0, curveAt: 0, curves: 0, painted: 0};
  window.addEventListener('keydown', () => { watch.keyAt = performance.now(); }, true);

  let drew = false;
  for (const kind of [window.WebGLRenderingContext, window.WebGL2RenderingContext]) {
    for (const name of ['drawArrays', 'drawElements', 'drawArraysInstanced', 'drawElementsInstanced']) {
      const original = kind && kind.prototype[name];
      if (original) kind.prototype[name] = function (...all) { drew = true; return original.apply(this, all); };
    }
  }
  const frame = () => { if (drew) { watch.painted += 1; drew = false; } requestAnimationFrame(frame); };
  requestAnimationFrame(frame);

  watch.curve = name => {
    for (const document of Bokeh.documents) for (const model of document._all_models.values())
      if (model.type === 'ColumnDataSource' && model.name === name)
        model.properties.data.change.connect(() => { watch.curveAt = performance.now(); watch.curves += 1; });
  };

  const search = root => {
    for (const element of root.querySelectorAll('*')) {
      if (element.revmd) return element.revmd;
      const inside = element.shadowRoot && search(element.shadowRoot);
      if (inside) return inside;
    }
    return null;
  };
  let known = null;
  watch.viewer = () => known || (known = search(document));
  return watch;
})();
