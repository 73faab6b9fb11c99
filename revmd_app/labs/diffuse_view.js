// Lab 5's picture: waters as thin lines, oxygen molecules large and coloured, and behind each the way it came. `gas` is
// a list of [atoms (numbers in the file), colour]; `trails` a PDB text of the trails' points, joined by CONECT, whose
// positions come as part 3 of every frame; `ways` the same list for its points; `water` is a representation or 'hidden'.
(function(view){
  const me = view.revmd;
  if (!me || me.dissolved) return;
  me.dissolved = true;
  const numbers = atoms => '@' + atoms.join(',');
  me.draw = () => {
    const c = me.component; if (!c || !me.gas) return;
    c.removeAllRepresentations();
    const water = {sele: 'HOH', disablePicking: true, multipleBond: 'off'};
    if (me.water === 'line') c.addRepresentation('licorice', Object.assign(water, {radiusType: 'size', radiusSize: 0.05,
      radiusScale: 1, radius: 0.05, color: '#8aa0b5'}));
    if (me.water === 'licorice') c.addRepresentation('licorice', Object.assign(water, {radiusType: 'size', radiusSize: 0.3,
      radiusScale: 1, radius: 0.3, color: '#b4c6d6', opacity: 0.3}));
    for (const [atoms, color] of me.gas) me.main = c.addRepresentation('spacefill', {sele: numbers(atoms), color,
      radiusType: 'vdw', radiusScale: 0.8, sphereDetail: 2});
    c.addRepresentation('unitcell', {disablePicking: true});
    me.marked = [];
    me.mark = () => {};
    if (me.trailed === me.wanted) return;
    const serial = me.trailed = me.wanted;
    me.behind = null;
    view.stage.loadFile(new Blob([me.trails], {type: 'text/plain'}), {ext: 'pdb'}).then(t => {
      if (serial !== me.wanted) { view.stage.removeComponent(t); return; }
      for (const [points, color] of me.ways) t.addRepresentation('licorice', {sele: numbers(points), color, opacity: 0.75,
        radiusType: 'size', radiusSize: 0.16, radiusScale: 1, radius: 0.16, disablePicking: true, multipleBond: 'off'});
      t.setVisibility(!!me.way);
      me.behind = t;
      if (me.way) follow(me.way);
    });
  };
  me.aim = () => {
    if (!me.component) return;
    me.unaimed = !view.stage.viewer.container.clientHeight;
    if (me.unaimed) return;
    const controls = view.stage.viewerControls;
    controls.rotate(new (controls.rotation.constructor)());
    controls.spin([0, 1, 0], -0.42); controls.spin([1, 0, 0], 0.3);
    me.component.autoView();
    const box = view.stage.viewer.container, narrow = Math.max(0, 1 - box.clientWidth / box.clientHeight);
    setTimeout(() => view.stage.viewerControls.zoom(0.27 - 0.8 * narrow), 50);
  };
  const follow = array => {
    const t = me.behind; me.way = array;
    if (!t || array.length !== 3 * t.structure.atomStore.count) return;
    t.setVisibility(true);
    t.structure.updatePosition(array);
    t.updateRepresentations({position: true});
  };
  const update = view.updateCoordinates;
  view.updateCoordinates = (values, part) => part === 3 ? follow(new Float32Array(values)) : update(values, part);
})(this)
