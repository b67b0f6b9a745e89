// The integer network, stage by stage, as mnistcli's export/integer.py defines it. All numbers are
// integers below 2^53, which JavaScript's floating-point numbers hold exactly.

const SIDE = 28;
const data = JSON.parse(document.getElementById("data").textContent);
const decode = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
const bytes = (place) => decode(data.arrays[place]);
const int8 = (place) => new Int8Array(bytes(place).buffer);
const int16 = (place) => new Int16Array(bytes(place).buffer);
const int32 = (place) => new Int32Array(bytes(place).buffer);

function unpack({ weights, shape, levels }) {
  if (levels === null) return int8(weights);
  const [bits, first, step] = levels, packed = bytes(weights), each = 8 / bits;
  const code = (i) => (packed[Math.floor(i / each)] >> (i % each * bits)) & (2 ** bits - 1);
  const count = shape.reduce((product, extent) => product * extent);
  return Int16Array.from({ length: count }, (_, i) => first + step * code(i));
}

const prepare = (stage) => ({
  ...stage,
  conv: stage.conv && { ...stage.conv, weights: unpack(stage.conv), bias: int32(stage.conv.bias) },
  steps: stage.steps.map((step) => (step.kind === "offset" ? { ...step, values: int32(step.values) } : step)),
  multipliers: int16(stage.multipliers),
  table: stage.table !== null && int16(stage.table),
});
const stages = data.stages.map(prepare);

// A value has the numbers of all channels, row by row.
const make = (channels, height, width, fill = 0) => ({
  channels, height, width, numbers: new Float64Array(channels * height * width).fill(fill),
});

function pad(value, edge) {
  if (edge === 0) return value;
  const { channels, height, width, numbers } = value;
  const padded = make(channels, height + 2 * edge, width + 2 * edge);
  for (let row = 0; row < channels * height; row++) {
    const top = edge * (2 * Math.floor(row / height) + 1);
    const line = numbers.subarray(row * width, (row + 1) * width);
    padded.numbers.set(line, (row + top) * padded.width + edge);
  }
  return padded;
}

function convolve(conv, value) {
  const { weights, bias, stride, dilation, groups } = conv;
  const [outputs, inputs, height, width] = conv.shape;
  const given = pad(value, conv.padding);
  const count = (extent, kernel) => Math.floor((extent - (kernel - 1) * dilation - 1) / stride) + 1;
  const sums = make(outputs, count(given.height, height), count(given.width, width));
  const from = given.numbers, to = sums.numbers, columns = sums.width, area = sums.height * columns;
  let place = 0;
  for (let output = 0; output < outputs; output++) {
    to.fill(bias[output], output * area, (output + 1) * area);
    const first = Math.floor(output / (outputs / groups)) * inputs;
    for (let input = first; input < first + inputs; input++) {
      for (let y = 0; y < height; y++) {
        for (let x = 0; x < width; x++) {
          const weight = weights[place++];
          if (weight === 0) continue;
          for (let row = 0; row < sums.height; row++) {
            const line = input * given.height + y * dilation + row * stride;
            let source = line * given.width + x * dilation;
            let target = output * area + row * columns;
            for (const end = target + columns; target < end; source += stride) {
              to[target++] += weight * from[source];
            }
          }
        }
      }
    }
  }
  return sums;
}

function pool(kind, value, height, width) {
  if (height === 1 && width === 1) return value;
  const rows = Math.floor(value.height / height), columns = Math.floor(value.width / width);
  const pooled = make(value.channels, rows, columns, kind === "max" ? -Infinity : 0);
  for (let channel = 0; channel < value.channels; channel++) {
    for (let y = 0; y < rows * height; y++) {
      for (let x = 0; x < columns * width; x++) {
        const number = value.numbers[(channel * value.height + y) * value.width + x];
        const target = (channel * rows + Math.floor(y / height)) * columns + Math.floor(x / width);
        const reached = pooled.numbers[target];
        pooled.numbers[target] = kind === "max" ? Math.max(reached, number) : reached + number;
      }
    }
  }
  return pooled;
}

// Maps all numbers, given their channel and place.
const map = (value, change) => {
  const area = value.height * value.width;
  const changed = value.numbers.map((number, i) => change(number, Math.floor(i / area), i));
  return { ...value, numbers: changed };
};

function take(step, sums) {
  if (step.kind === "rectify") return map(sums, (sum) => Math.max(sum, 0));
  if (step.kind === "offset") return map(sums, (sum, channel) => sum + step.values[channel]);
  return pool(step.kind, sums, step.height, step.width);
}

function multiply({ sources, conv, steps, multipliers }, values) {
  const value = values[sources[0]];
  if (sources.length > 1) {
    const add = (i) => (sum, source, k) => sum + values[source].numbers[i] * multipliers[k];
    return map(value, (_number, _channel, i) => sources.reduce(add(i), 0));
  }
  const sums = steps.reduce((sums, step) => take(step, sums), conv ? convolve(conv, value) : value);
  return map(sums, (sum, channel) => sum * multipliers[channel]);
}

function compute(stage, values) {
  const { shift, low, high, table } = stage;
  const half = 2 ** (shift - 1), whole = 2 ** shift;
  const results = map(multiply(stage, values), (product) => {
    const result = Math.min(Math.max(Math.floor((product + half) / whole), low), high);
    return table ? table[result + 128] : result;
  });
  return pool("max", results, stage.pool, stage.pool);
}

function run(image) {
  if (image.length !== SIDE * SIDE) throw new RangeError("an image has 784 pixels");
  const pixels = make(1, SIDE, SIDE);
  pixels.numbers.set(image);
  const values = [map(pixels, (pixel) => pixel - data.zero)];
  for (const stage of stages) values.push(compute(stage, values));
  return values;
}

// mnistcli.logits(image) returns the ten logits, Int32Array, of an image, Uint8Array (784).
const logits = (image) => Int32Array.from(run(image).at(-1).numbers);

// What the first convolution makes of an image: its sums, less those of an empty image.
const first = stages.find((stage) => stage.conv);
function firstMaps(values, empty) {
  const source = first.sources[0];
  const change = map(values[source], (number, _, i) => number - empty[source].numbers[i]);
  return convolve({ ...first.conv, bias: first.conv.bias.map(() => 0) }, change);
}

function softmax(logits) {
  const max = Math.max(...logits);
  const powers = Array.from(logits, (logit) => Math.exp((logit - max) * data.logit_scale));
  const sum = powers.reduce((sum, power) => sum + power);
  return powers.map((power) => power / sum);
}
