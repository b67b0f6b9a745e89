// A drawing → an image like MNIST's, by the rule of mnistcli's datasets/centering.py. Ink is
// a value of one channel with numbers in 0 … 1.

const BOX = 20, DETAIL = 200, THINNEST = 0.115, THICKEST = 0.2;

// Halves go to the even neighbour, as in Python.
const round = (number) => {
  const rounded = Math.round(number);
  return rounded - number === 0.5 && rounded % 2 ? rounded - 1 : rounded;
};

// Cuts out the box around what is above a threshold; null if there is nothing.
function crop({ height, width, numbers }, threshold) {
  let top = height, bottom = -1, left = width, right = -1;
  for (let i = 0; i < numbers.length; i++) {
    if (numbers[i] <= threshold) continue;
    const y = Math.floor(i / width), x = i % width;
    top = Math.min(top, y);
    bottom = y;
    left = Math.min(left, x);
    right = Math.max(right, x);
  }
  if (bottom < 0) return null;
  const cut = make(1, bottom - top + 1, right - left + 1);
  for (let y = 0; y < cut.height; y++) {
    const start = (top + y) * width + left;
    cut.numbers.set(numbers.subarray(start, start + cut.width), y * cut.width);
  }
  return cut;
}

// Which numbers make a new one, and how they weigh: the mean of those that it covers, or a linear
// interpolation if there are more new ones than old ones.
function plan(count, wanted) {
  const scale = count / wanted, shrinks = scale > 1;
  const reach = shrinks ? scale / 2 : 1;
  return Array.from({ length: wanted }, (_, i) => {
    const centre = (i + 0.5) * scale;
    const start = Math.max(Math.trunc(centre - reach + 0.5), 0);
    const end = Math.min(Math.trunc(centre + reach + 0.5), count);
    const weights = Array.from({ length: end - start }, (_, k) => {
      const distance = (start + k - centre + 0.5) / (shrinks ? scale : 1);
      if (shrinks) return distance > -0.5 && distance <= 0.5 ? 1 : 0;
      return Math.max(1 - Math.abs(distance), 0);
    });
    const sum = weights.reduce((sum, weight) => sum + weight, 0) || 1;
    return { start, weights: weights.map((weight) => weight / sum) };
  });
}

function resizeRows({ height, width, numbers }, wanted) {
  const resized = make(1, height, wanted), plans = plan(width, wanted);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < wanted; x++) {
      const { start, weights } = plans[x];
      let sum = 0;
      for (let k = 0; k < weights.length; k++) sum += weights[k] * numbers[y * width + start + k];
      resized.numbers[y * wanted + x] = Math.fround(sum);
    }
  }
  return resized;
}

function transpose({ height, width, numbers }) {
  const turned = make(1, width, height);
  numbers.forEach((number, i) => {
    turned.numbers[(i % width) * height + Math.floor(i / width)] = number;
  });
  return turned;
}

function resize(ink, longest) {
  const scale = longest / Math.max(ink.height, ink.width);
  const extent = (old) => Math.max(1, round(old * scale));
  const rows = resizeRows(ink, extent(ink.width));
  return transpose(resizeRows(transpose(rows), extent(ink.height)));
}

// Distances to the nearest place that is marked: along the rows first, and then along the columns,
// where what is further away than the nearest so far need not be looked at.
function measureDistances({ height, width, numbers }) {
  const across = numbers.map((mark) => (mark ? 0 : Infinity));
  const step = (i, other) => { across[i] = Math.min(across[i], across[other] + 1); };
  for (let start = 0; start < across.length; start += width) {
    for (let x = 1; x < width; x++) step(start + x, start + x - 1);
    for (let x = width - 2; x >= 0; x--) step(start + x, start + x + 1);
  }
  return across.map((distance, i) => {
    let square = distance * distance;
    for (let k = 1; k < height && k * k < square; k++) {
      for (const other of [i - k * width, i + k * width]) {
        if (across[other] >= 0) square = Math.min(square, across[other] ** 2 + k * k);
      }
    }
    return Math.sqrt(square);
  });
}

function adjustStrokes(ink) {
  const longest = Math.max(ink.height, ink.width), edge = round(THINNEST * longest);
  const padded = pad({ ...ink, channels: 1 }, edge);
  const depths = measureDistances(map(padded, (number) => number <= 0.5));
  const inside = depths.filter((depth) => depth > 0);
  if (!inside.length) return ink;
  // Within a stroke of width w, the mean distance to its rim is w / 4.
  const width = 4 * inside.reduce((sum, depth) => sum + depth) / inside.length;
  const wanted = Math.min(Math.max(width, THINNEST * longest), THICKEST * longest);
  const change = (wanted - width) / 2;
  if (change > 0) {
    const distances = measureDistances(map(padded, (number) => number > 0.5));
    return crop(map(padded, (number, _, i) => (distances[i] <= change ? 1 : number)), 0.25);
  }
  return crop(map(padded, (number, _, i) => (change && depths[i] <= -change ? 0 : number)), 0.25);
}

function place({ height, width, numbers }) {
  const image = new Uint8Array(SIDE * SIDE);
  let sum = 0, down = 0, right = 0;
  numbers.forEach((number, i) => {
    sum += number;
    down += number * Math.floor(i / width);
    right += number * (i % width);
  });
  const start = (moment, extent) =>
    Math.min(Math.max(round(SIDE / 2 - (moment / sum + 0.5)), 0), SIDE - extent);
  const top = start(down, height), left = start(right, width);
  numbers.forEach((number, i) => {
    const y = top + Math.floor(i / width), x = left + i % width;
    image[y * SIDE + x] = round(255 * Math.min(Math.max(number, 0), 1));
  });
  return image;
}

// Returns the image, Uint8Array (784), of ink in rows of the given width; empty without ink.
function center(numbers, width) {
  const ink = make(1, numbers.length / width, width);
  ink.numbers.set(numbers);
  const digit = crop(ink, 0.35);
  if (!digit) return new Uint8Array(SIDE * SIDE);
  return place(resize(adjustStrokes(resize(digit, DETAIL)), BOX));
}
