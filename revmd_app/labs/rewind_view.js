// Lab 2's boxes: `boxes` is a PDB text whose bonds are their edges. It is drawn beside the atoms, in place of the cell
// around all of them; and the boxes are seen almost from the front, so that they do not hide each other.
(function(view){
  const me = view.revmd;
  if (!me || me.sideBySide) return;
  me.sideBySide = true;
  const draw = me.draw;
  me.draw = () => {
    draw();
    const c = me.component; if (!c) return;
    for (const shown of c.reprList.slice()) if (shown.type === 'unitcell' || (shown.repr && shown.repr.type === 'unitcell')) c.removeRepresentation(shown);
    if (!me.boxes || me.outlined === me.wanted) return;
    me.outlined = me.wanted;
    view.stage.loadFile(new Blob([me.boxes], {type: 'text/plain'}), {ext: 'pdb'}).then(b => {
      b.addRepresentation('licorice', {colorValue: '#9aa5b5', colorScheme: 'uniform', radiusType: 'size', radiusSize: 0.1,
        radiusScale: 1, radius: 0.1, disablePicking: true, multipleBond: 'off'});
    });
  };
  me.aim = () => {
    if (!me.component) return;
    me.unaimed = !view.stage.viewer.container.clientHeight;
    if (me.unaimed) return;
    const controls = view.stage.viewerControls;
    controls.rotate(new (controls.rotation.constructor)());
    controls.spin([0, 1, 0], -0.16); controls.spin([1, 0, 0], 0.16);
    me.component.autoView();
    const box = view.stage.viewer.container, narrow = Math.max(0, 1.7 - box.clientWidth / box.clientHeight);
    setTimeout(() => view.stage.viewerControls.zoom(0.34 - 0.25 * narrow), 50);
  };
})(this)
