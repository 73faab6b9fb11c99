// Saves a plot as it is seen: a picture drawn anew by BokehJS (PNG or SVG), or the numbers of its data sources (CSV).
// `plots` are figures, `titles` their names, `names` maps a data source's id to its series (a source with a column
// "what" says there what it is); the menu's item is "<number of the plot>:<format>".
const [number, format] = cb_obj.item.split(':');
const plot = plots[number], stem = titles[number];

function offer(blob, ending) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = `${stem}.${ending}`;
  document.body.appendChild(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

function cell(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return '';
  const text = Array.isArray(value) ? value.join(' ') : String(value);
  return /[",\n\r]/.test(text) ? '"' + text.replaceAll('"', '""') + '"' : text;
}

function label(axes, otherwise) {
  const axis = axes.find(a => a.axis_label);
  return axis ? String(axis.axis_label) : otherwise;
}

function table() {
  const sources = new Map();
  for (const renderer of plot.renderers) {
    const source = renderer.data_source;
    const told = source && source.data.what && source.data.what[0];
    if (source && !sources.has(source)) {
      sources.set(source, names[source.id] || told || source.name || `series ${sources.size + 1}`);
    }
  }
  const columns = [];
  for (const source of sources.keys()) {
    for (const key of source.columns()) if (key !== 'what' && !columns.includes(key)) columns.push(key);
  }
  const head = {x: label(plot.below, 'x'), y: label(plot.left, 'y')};
  const rows = [['series', ...columns.map(key => head[key] || key)]];
  for (const [source, name] of sources) {
    const length = source.get_length() || 0;
    for (let i = 0; i < length; i++) rows.push([name, ...columns.map(key => source.data[key] ? source.data[key][i] : null)]);
  }
  return rows.map(row => row.map(cell).join(',')).join('\r\n') + '\r\n';
}

if (format === 'csv') {
  offer(new Blob([table()], {type: 'text/csv;charset=utf-8'}), 'csv');
} else {
  const view = cb_context.index.find_one(plot);
  if (view) view.export(format, true).to_blob().then(blob => offer(blob, format));
}
