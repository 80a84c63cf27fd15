// The page's own script: it cuts tiles out of the sheets and writes numbers; it computes none.
"use strict";
const data = JSON.parse(document.getElementById("data").textContent), words = data.words;
const levels = data.levels, cells = data.cells, candidates = data.candidates, lesson = data.lesson;
const [tall, wide] = data.sizes.padded;
const BLUE = "#4b9bf5", ORANGE = "#ff8a1f";
const state = { cell: 0, hovered: null, level: 0, lessonLevel: 0 };
const images = new Map();                                   // uri -> decoded Image

const $ = id => document.getElementById(id);
const escape = text => text.replace(/[&<>"']/g, c => `&#${c.charCodeAt(0)};`);
const fill = (text, ...values) => text.replace(/\{(\d)\}/g, (_, i) => values[i]);
const number = (value, digits = 3) =>                       // short to read, whole to point at
  `<span title="${value}" data-value="${value}">${value.toFixed(digits)}</span>`;
const className = index => escape(data.classes[index]);
const levelName = level => `P${level + 2}`;
const badge = level => `<span class="badge level${level}">${levelName(level)}</span>`;

function place(cell) {                                      // cell of all levels -> where it is
  const level = levels.findLastIndex(l => l.first <= cell), inside = cell - levels[level].first;
  return { level, row: Math.floor(inside / levels[level].side), column: inside % levels[level].side };
}
const cellName = cell => `${levelName(place(cell).level)} ${place(cell).row},${place(cell).column}`;

async function load(value) {                                // read every picture in the data
  if (typeof value === "string" && value.startsWith("data:image/")) {
    images.set(value, new Image());
    await new Promise(loaded => Object.assign(images.get(value), { onload: loaded, src: value }));
  } else if (value && typeof value === "object") await Promise.all(Object.values(value).map(load));
}
function sized(canvas, width, height) {
  Object.assign(canvas, { width: Math.round(width), height: Math.round(height) });
  return canvas.getContext("2d");
}
const newCanvas = (width, height) => sized(document.createElement("canvas"), width, height);
function drawTile(pen, sheet, index, x, y, width, height) {
  const [tileTall, tileWide] = sheet.tile, [h, w] = sheet.size;
  const left = index % sheet.columns * tileWide, top = Math.floor(index / sheet.columns) * tileTall;
  pen.drawImage(images.get(sheet.uri), left, top, w, h, x, y, width, height);
}
function tileCanvas(sheet, index) {
  const pen = newCanvas(sheet.size[1], sheet.size[0]);
  drawTile(pen, sheet, index, 0, 0, sheet.size[1], sheet.size[0]);
  return pen.canvas;
}
function maskTile(cell, kind) {                             // the largest picture that there is
  const tile = data.large.tiles[cell], level = levels[place(cell).level];
  return tile === undefined ? [level[kind], cell - level.first] : [data.large[kind], tile];
}
function tinted(cell, kind, color) {                        // a mask in one color on black
  const pen = tileCanvas(...maskTile(cell, kind)).getContext("2d");
  pen.globalCompositeOperation = "multiply";
  pen.fillStyle = color;
  pen.fillRect(0, 0, pen.canvas.width, pen.canvas.height);
  return pen.canvas;
}
function photo(canvas, width = 900, dim = 0) {              // the padded input, darkened by `dim`
  const pen = sized(canvas, width, width * tall / wide);
  pen.drawImage(images.get(data.photo), 0, 0, pen.canvas.width, pen.canvas.height);
  pen.fillStyle = `rgba(10, 18, 28, ${dim})`;
  pen.fillRect(0, 0, pen.canvas.width, pen.canvas.height);
  return pen;
}
function addMask(pen, cell, kind, color) {
  pen.globalCompositeOperation = "screen";
  pen.drawImage(tinted(cell, kind, color), 0, 0, pen.canvas.width, pen.canvas.height);
  pen.globalCompositeOperation = "source-over";
}
function maskPicture(cell, kind, color, width = 320, dim = 0.72) {
  const pen = photo(document.createElement("canvas"), width, dim);
  addMask(pen, cell, kind, color);
  return pen.canvas;
}
function cellBox(pen, cell) {                               // x, y, width, height on a picture
  const { level, row, column } = place(cell), w = pen.canvas.width / levels[level].side;
  const h = pen.canvas.height / levels[level].side;
  return [column * w, row * h, w, h];
}
function drawGrid(pen, level, colorOf) {                    // colorOf(cell) or nothing
  const { side, first } = levels[level];
  pen.strokeStyle = "rgba(255, 255, 255, 0.28)";
  for (let cell = first; cell < first + side * side; cell++) {
    pen.fillStyle = colorOf(cell) ?? "transparent";
    pen.fillRect(...cellBox(pen, cell));
    pen.strokeRect(...cellBox(pen, cell));
  }
}
function cellAt(canvas, event, level) {
  const box = canvas.getBoundingClientRect(), side = levels[level].side;
  const at = (position, length) => Math.min(side - 1, Math.max(0, Math.floor(position / length * side)));
  return levels[level].first + at(event.clientY - box.top, box.height) * side + at(event.clientX - box.left, box.width);
}
function tabs(id, chosen, choose) {
  $(id).innerHTML = levels.map((l, i) => `<button class="level${i} ${i === chosen ? "on" : ""}">` +
    fill(words.level, levelName(i), l.side) + "</button>").join("");
  [...$(id).children].forEach((button, i) => { button.onclick = () => choose(i); });
}

function outline(pen, [x1, y1, x2, y2], scale, color, dashes = []) {
  pen.lineWidth = 2;
  pen.strokeStyle = color;
  pen.setLineDash(dashes);
  pen.strokeRect(x1 * scale, y1 * scale, (x2 - x1) * scale, (y2 - y1) * scale);
  pen.setLineDash([]);
}
function showInput() {                                      // dashed: where the padding begins
  const pen = photo($("input-picture")), [h, w] = data.sizes.resized;
  outline(pen, [0, 0, w, h], pen.canvas.width / wide, ORANGE, [8, 6]);
}
function showPyramid() {
  for (const map of data.pyramid)
    map.channels.forEach((_, i) => $(map.name).append(tileCanvas(map, i)));
}
function showGrid() {
  const cell = state.hovered ?? state.cell, { level } = place(cell);
  const pen = photo($("grid-picture"), 900, 0.5);
  if (level === state.level) addMask(pen, cell, "soft", BLUE);
  drawGrid(pen, state.level, c => `rgba(255, 138, 31, ${0.6 * cells.scores[c][0]})`);
  if (level === state.level) {
    pen.strokeStyle = "#fff";
    pen.lineWidth = 3;
    pen.strokeRect(...cellBox(pen, cell));
  }
  tabs("grid-tabs", state.level, chooseLevel);
  showCell(cell);
}
function showCell(cell) {
  const { level, row, column } = place(cell), best = cells.classes[cell][0];
  const bars = cells.classes[cell].map((index, i) => `<div class="bar ${cells.points[cell][i] ? "" : "off"}">` +
    `<span>${className(index)}</span><i><i style="width:${100 * cells.scores[cell][i]}%;height:10px"></i></i>` +
    `<em>${number(cells.scores[cell][i])}</em></div>`).join("");
  const points = cells.rival[cell] === null ? fill(words.passed, className(best)) :
    fill(words.silenced, className(best), cellName(cells.rival[cell]), number(cells.rivalScore[cell]));
  $("cell").innerHTML = `<h3>${badge(level)} ${fill(words.cell, row, column)}</h3><h3>${words.what}</h3>${bars}` +
    `<p>${points}</p><h3>${fill(words.kernel, data.features.count)} <small>(` +
    `${fill(words.kernelRange, number(levels[level].kernels.limit, 2))})</small></h3><div id="kernel"></div>` +
    `<h3>${words.strongest}</h3><div class="tiles" id="strongest"></div><h3>${words.mask}</h3><div class="two" ` +
    `id="two"></div><p>${fill(words.area, data.settings.mask_threshold, cells.area[cell],
      number(cells.maskness[cell]))}</p>` +
    `<h3>${words.fateTitle}</h3>${fates(cell)}` +
    (lesson ? `<h3>${words.ownerTitle}</h3><p>${ownership(cell)}</p>` : "");
  const count = data.features.count, columns = Math.min(count, 32), strip = newCanvas(columns, count / columns);
  const kernels = images.get(levels[level].kernels.uri), inside = cell - levels[level].first;
  for (let i = 0; i < count / columns; i++)
    strip.drawImage(kernels, i * columns, inside, columns, 1, 0, i, columns, 1);
  strip.canvas.className = "strip";
  $("kernel").append(strip.canvas);
  cells.channels[cell].forEach((channel, i) => {
    $("strongest").insertAdjacentHTML("beforeend", `<div>${number(cells.weights[cell][i], 2)}</div>`);
    $("strongest").lastChild.prepend(tileCanvas(data.features, channel));
  });
  $("two").append(maskPicture(cell, "soft", BLUE), maskPicture(cell, "binary", BLUE));
}
function fates(cell) {                                      // one paragraph per class that it competes for
  const found = candidates.filter(c => c.cell === cell), threshold = data.settings.score_threshold;
  const none = cells.points[cell][0] > threshold ? words.fates.left : fill(words.none, threshold);
  if (!found.length) return `<p>${none}</p>`;
  return found.map(c => `<p class="fate" data-fate="${c.fate}">` + (c.after === null ? className(c.class) + ". " :
    fill(words.product, className(c.class), number(c.score), number(c.maskness), number(c.rescored)) + " " +
    (c.by === null ? words.undecayed : fill(words.decayed, `#${c.by + 1} (${cellName(candidates[c.by].cell)})`,
      number(c.iou), number(c.factor), number(c.after)))) + ` ${fill(words.fates[c.fate], reason(c))}</p>`).join("");
}
const reason = c => ({ kept: c.instance + 1, decayed: data.settings.update_threshold,
  crowded: data.settings.max_per_image, small: levels[place(c.cell).level].stride })[c.fate];
function ownership(cell) {
  const owned = lesson.pairs.cell.flatMap((c, i) => c === cell ? [i] : []), { level } = place(cell);
  const objects = owned.map(i => lesson.objects[lesson.pairs.object[i]]);
  const lines = owned.map((i, k) => fill(words.owner, lesson.pairs.object[i] + 1, className(objects[k].class),
    number(objects[k].scale, 1), ...levels[level].range, number(lesson.pairs.dice[i])));
  const paid = fill(words.categoryLoss, number(lesson.category_losses[cell], 5));
  return `${lines.join("<br>") || words.background} ${paid}`;
}
function showFeatures() {
  for (let i = 0; i < data.features.count; i++) {
    $("channels").append(tileCanvas(data.features, i));
    $("channels").lastChild.onclick = () => showChannel(i);
  }
  showChannel(cells.channels[state.cell][0]);
}
function showChannel(index) {
  [...$("channels").children].forEach((tile, i) => tile.classList.toggle("on", i === index));
  const pen = sized($("channel-picture"), 640, 640 * tall / wide);
  drawTile(pen, data.features, index, 0, 0, pen.canvas.width, pen.canvas.height);
  $("channel-note").innerHTML = fill(words.channel, index, number(data.features.highest[index]));
}
function showGallery() {
  [...$("gallery").children].forEach((one, i) => {
    const { candidate, color } = data.instances[i], { cell } = candidates[candidate];
    one.firstChild.append(maskPicture(cell, "soft", color), maskPicture(cell, "binary", color));
    one.onclick = () => choose(cell);
  });
}
function showCandidates() {
  [...$("candidates").tBodies[0].rows].forEach((row, i) => { row.onclick = () => showPair(i); });
  showPair(Math.max(0, candidates.findIndex(c => c.by !== null)));
}
function showPair(index) {
  [...$("candidates").tBodies[0].rows].forEach((row, i) => row.classList.toggle("on", i === index));
  const c = candidates[index], pen = photo($("pair-picture"), 640, 0.78);
  addMask(pen, c.cell, "binary", "#2f8cf0");
  if (c.by !== null) addMask(pen, candidates[c.by].cell, "binary", "#d0730f");
  $("pair-note").innerHTML = (c.by === null ? fill(words.single, `#${index + 1}`, number(c.rescored)) :
    fill(words.pair, `#${index + 1}`, number(c.rescored), `#${c.by + 1}`, number(c.iou), number(c.factor),
      number(c.after))) + ` <a href="#grids" id="goto">${words.goto}</a>`;
  $("goto").onclick = () => choose(c.cell);
}
function startLesson() {                                    // with the level that owns most
  const owned = levels.map((_, i) => lesson.pairs.cell.filter(c => place(c).level === i).length);
  lesson.objects.forEach((_, i) => $("objects").tBodies[0].rows[i].cells[2].append(tileCanvas(lesson.masks, i)));
  chooseLesson(owned.indexOf(Math.max(...owned)));
}
function showLesson() {
  const level = state.lessonLevel, pen = photo($("lesson-picture"), 900, 0.4), scale = pen.canvas.width / wide;
  const owner = new Map(lesson.pairs.cell.map((c, i) => [c, lesson.objects[lesson.pairs.object[i]]]));
  drawGrid(pen, level, c => owner.has(c) ? owner.get(c).color + "b0" : null);
  for (const object of lesson.objects.filter(o => o.levels[level])) {
    outline(pen, object.box, scale, object.color);
    outline(pen, object.region, scale, "#fff", [5, 4]);
    pen.fillStyle = "#fff";
    pen.beginPath();
    pen.arc(object.center[0] * scale, object.center[1] * scale, 4, 0, 7);
    pen.fill();
  }
  tabs("lesson-tabs", level, chooseLesson);
  $("lesson-note").textContent = fill(words.range, ...levels[level].range);
  showLosses(level);
}
function showLosses(level) {
  const mask = new Map();                                   // a cell of two objects shows its larger loss
  lesson.pairs.cell.forEach((c, i) => mask.set(c, Math.max(mask.get(c) ?? 0, lesson.pairs.dice[i])));
  const most = Math.max(...lesson.category_losses) || 1;
  drawGrid(photo($("category-picture"), 640, 0.45), level, c =>
    `rgba(240, 50, 50, ${Math.sqrt(lesson.category_losses[c] / most)})`);
  drawGrid(photo($("mask-picture"), 640, 0.45), level, c =>
    mask.has(c) ? `rgba(240, 50, 50, ${0.15 + 0.85 * mask.get(c)})` : null);
  for (const kind of ["category", "mask"])
    $(`${kind}-title`).textContent = `${levelName(level)}: ${words[kind + "Tab"]}`;
}
function showOwner(cell) {
  for (const note of document.querySelectorAll(".owner")) note.innerHTML = `${cellName(cell)}. ${ownership(cell)}`;
}
function showStrip() {                                      // a small picture of every step
  const first = candidates.length ? candidates[0].cell : 0, p3 = data.pyramid.find(m => m.name === "p3");
  const sources = ["input-picture", tileCanvas(p3, 0), "grid-picture", "channel-picture",
    maskPicture(first, "soft", BLUE), "pair-picture", images.get(data.result), "lesson-picture", "category-picture"];
  [...$("strip").children].forEach((link, i) => {
    const source = typeof sources[i] === "string" ? $(sources[i]) : sources[i], pen = newCanvas(220, 150);
    if (!source || !source.width) return;
    const scale = Math.max(220 / source.width, 150 / source.height);
    pen.drawImage(source, (220 - source.width * scale) / 2, (150 - source.height * scale) / 2,
      source.width * scale, source.height * scale);
    link.prepend(pen.canvas);
  });
}

function choose(cell) {                                     // keep a cell, and its place in the address
  const { level, row, column } = place(cell);
  Object.assign(state, { cell, hovered: null, level });
  history.replaceState(null, "", `#cell=${level}-${row}-${column}`);
  showGrid();
}
function hover(cell) {
  if (cell !== state.hovered) { state.hovered = cell; showGrid(); }
}
function chooseLevel(level) { Object.assign(state, { level, hovered: null }); showGrid(); }
function chooseLesson(level) { state.lessonLevel = level; showLesson(); }
function fromAddress() {                                    // #cell=level-row-column
  const [, ...numbers] = /^#cell=(\d+)-(\d+)-(\d+)$/.exec(location.hash) ?? [];
  const [level, row, column] = numbers.map(Number), { side, first } = levels[level] ?? {};
  return row < side && column < side ? first + row * side + column : null;
}
function listen() {
  const canvas = $("grid-picture");
  canvas.onclick = event => choose(cellAt(canvas, event, state.level));
  canvas.onmousemove = event => hover(cellAt(canvas, event, state.level));
  canvas.onmouseleave = () => hover(null);
  canvas.onkeydown = event => {
    const { side } = levels[state.level], step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -side, ArrowDown: side };
    const next = state.cell + step[event.key];
    if (!(next >= 0 && next < cells.area.length && place(next).level === state.level)) return;
    event.preventDefault();
    choose(next);
  };
  for (const id of lesson ? ["lesson-picture", "category-picture", "mask-picture"] : [])
    $(id).onmousemove = event => showOwner(cellAt(event.target, event, state.lessonLevel));
  window.onhashchange = () => fromAddress() !== null && choose(fromAddress());
}
async function start() {
  await load(data);
  state.cell = fromAddress() ?? (candidates.length ? candidates[0].cell : 0);
  state.level = place(state.cell).level;
  showInput(); showPyramid(); showGrid(); showFeatures(); showGallery();
  if (candidates.length) showCandidates();
  $("result-picture").src = data.result;
  if (lesson) startLesson();
  showStrip(); listen();
  document.body.dataset.ready = "yes";
}
start();
