// What runs in the browser, with `view` the nglview view.
// NGL listens on `document` and compares event.target with its canvas; inside Bokeh's shadow DOM the target is the host,
// so nothing rotates, zooms or is picked: the listeners are wrapped to see the innermost target. nglview sizes itself
// once: a ResizeObserver makes it follow the page. `updateCoordinates` takes positions (0) and kinetic energies (1) of
// the system that is loaded, and ignores others; (2) counts the changes of the controls that the frame knows of. COLOUR_SCALE, HOTTEST, CHOSEN and LIT are filled in by viewer.py.
(function(view){
  if (view.revmd) return;
  const me = view.revmd = {wanted: 0, component: null, look: ['spacefill', 'element'], frames: 0, epoch: -1, since: 0};
  view.el.revmd = me;  // `revmd bench app` and tests read frames, epoch and since when (ms)
  const mouse = view.stage.mouseObserver;
  if (mouse && mouse.domElement.getRootNode() !== document) {
    const innermost = f => e => f(new Proxy(e, {get(target, key) {
      if (key === 'target') return target.composedPath()[0];
      const value = target[key]; return typeof value === 'function' ? value.bind(target) : value; }}));
    const names = {mousewheel: '_onMousewheel', wheel: '_onMousewheel', MozMousePixelScroll: '_onMousewheel',
      mousemove: '_onMousemove', mousedown: '_onMousedown', mouseup: '_onMouseup', contextmenu: '_onContextmenu',
      touchstart: '_onTouchstart', touchend: '_onTouchend', touchmove: '_onTouchmove'};
    for (const [type, name] of Object.entries(names)) document.removeEventListener(type, mouse[name], {passive: false});
    for (const name of new Set(Object.values(names))) mouse[name] = innermost(mouse[name]);
    for (const [type, name] of Object.entries(names)) document.addEventListener(type, mouse[name], {passive: false});
  }
  const fit = () => {
    const place = view.el.parentElement || view.el, box = view.stage.viewer.container;
    const width = view.el.clientWidth, height = view.el.clientHeight || place.clientHeight;
    if (width > 0 && height > 0) { box.style.width = width + 'px'; box.style.height = height + 'px'; view.stage.handleResize(); if (me.unaimed) me.aim(); }
  };
  if (window.ResizeObserver) new ResizeObserver(fit).observe(view.el);
  me.fit = fit;
  view.stage.setParameters({cameraType: 'orthographic', clipNear: 0, clipFar: 100, fogNear: 60, fogFar: 110});
  me.aim = () => {
    if (!me.component) return;
    me.unaimed = !view.stage.viewer.container.clientHeight;  // in a stage without a size the camera would be lost
    if (me.unaimed) return;
    const controls = view.stage.viewerControls;
    controls.rotate(new (controls.rotation.constructor)());
    controls.spin([0, 1, 0], -0.42); controls.spin([1, 0, 0], 0.3);
    me.component.autoView();
    const box = view.stage.viewer.container, narrow = Math.max(0, 1 - box.clientWidth / box.clientHeight);
    setTimeout(() => view.stage.viewerControls.zoom(0.2 - narrow), 50);  // closer, but not in a tall box
  };
  // A click chooses an atom (it does not move the camera), a click beside the atoms none. nglview's own listener runs
  // first; `picked` holds the number of the atom in the order of the file, or nothing.
  view.stage.mouseControls.remove('clickPick-left');
  view.stage.mouseControls.remove('hoverPick');
  view.stage.signals.clicked.add(proxy => {
    const atom = proxy && (proxy.atom || proxy.closestBondAtom);
    view.model.set('picked', atom ? {atom: atom.index, click: Date.now()} : {click: Date.now()});
    view.touch();
  });
  view.$pickingInfo.hide();
  view.mouseOverDisplay = () => {};  // nglview's player and full-screen button, whose icon it fails to find
  me.marks = [[], []];  // numbers of the chosen atom and of those that light up
  const scale = () => me.marks[0].length ? 0.3 : 0.75;  // the others draw back, or they would hide the chosen ones
  me.mark = marks => {
    me.marks = marks;
    if (!me.component) return;
    me.marked.forEach((shown, i) => shown.setSelection(sele(marks[i])));
    if (me.look[0] === 'spacefill' && me.main.repr.radiusScale !== scale()) me.main.setParameters({radiusScale: scale()});
  };
  const sele = numbers => numbers.length ? '@' + numbers.join(',') : 'NONE';
  const marker = (c, kind, numbers, color) => c.addRepresentation('spacefill', Object.assign({sele: sele(numbers), color},
    kind === 'spacefill' ? {radiusType: 'vdw', radiusScale: 0.8, sphereDetail: 1} : {radiusType: 'size', radiusSize: 0.75}));
  me.draw = () => {
    const c = me.component; if (!c) return;
    const [kind, colour] = me.look, n = c.structure.atomStore.count;
    c.removeAllRepresentations();
    const options = {colorScheme: colour, multipleBond: 'off'};
    if (colour === 'bfactor') Object.assign(options, {colorScale: COLOUR_SCALE, colorDomain: [0, HOTTEST]});
    if (kind === 'spacefill') Object.assign(options, {radiusType: 'vdw', radiusScale: scale(), sphereDetail: 1});
    if (kind === 'ball+stick') Object.assign(options, me.bonded
      ? {radiusType: 'size', radiusSize: 0.28, aspectRatio: 1.4, bondScale: 0.5} : {radiusType: 'size', radiusSize: 0.6, aspectRatio: 1});
    if (kind === 'point') Object.assign(options, {pointSize: 14, sizeAttenuation: false, useTexture: true, alphaTest: 0.5, edgeBleach: 0});
    me.main = c.addRepresentation(kind, options);
    c.addRepresentation('unitcell', {disablePicking: true});
    me.marked = [marker(c, kind, me.marks[0], CHOSEN), marker(c, kind, me.marks[1], LIT)];
  };
  me.load = (serial, pdb, bonded) => {
    if (serial === me.wanted) return;  // sent again, lest the first was lost while the page came up
    me.wanted = serial; me.marks = [[], []];
    view.stage.loadFile(new Blob([pdb], {type: 'text/plain'}), {ext: 'pdb'}).then(c => {
      if (serial !== me.wanted) { view.stage.removeComponent(c); return; }
      for (const old of view.stage.compList.slice()) if (old !== c) view.stage.removeComponent(old);
      const cell = c.structure.unitcell, data = cell.getData.bind(cell);  // NGL passes no options on: grey, not orange
      cell.getData = structure => data(structure, {colorValue: '#9aa5b5', radius: 0.1});
      me.component = c; me.bonded = bonded; fit(); me.draw(); me.aim();
    });
  };
  view.updateCoordinates = (numbers, part) => {
    const c = me.component; if (!c) return;
    const n = c.structure.atomStore.count, array = new Float32Array(numbers);
    if (part === 0 && array.length === 3 * n) {
      c.structure.updatePosition(array);
      c.updateRepresentations({position: true}); me.frames += 1;
    } else if (part === 1 && array.length === n && me.look[1] === 'bfactor') {
      c.structure.atomStore.bfactor.set(array);
      c.updateRepresentations({color: true});
    } else if (part === 2 && array[0] !== me.epoch) {
      me.epoch = array[0]; me.since = performance.now();
    }
  };
})(this)
