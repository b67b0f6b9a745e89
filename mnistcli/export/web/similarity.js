// How much like a digit an image is, as mnistcli's export/similarity.py defines it.

const check = data.check && {
  ...data.check, shapes: int8(data.check.shapes), answers: int8(data.check.answers),
};

// Numbers less their mean, as a vector of length 1.
function normalize(numbers) {
  const mean = numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
  const centred = Array.from(numbers, (number) => number - mean);
  const length = Math.hypot(...centred) || 1;
  return centred.map((number) => number / length);
}

// The image in 14 × 14 pixels.
const halve = (image) => {
  const value = make(1, SIDE, SIDE);
  value.numbers.set(image);
  return pool("sum", value, 2, 2).numbers;
};

const project = (rows, vector) => Array.from({ length: rows.length / vector.length }, (_, row) =>
  vector.reduce((sum, number, i) => sum + number * rows[row * vector.length + i], 0) / 127);

function measureSimilarity(image, logits) {
  const shape = Math.hypot(...project(check.shapes, normalize(halve(image))));
  const answer = Math.max(...project(check.answers, normalize(logits)));
  return (shape + answer) / 2;
}

window.mnistcli = { logits, center, similarity: measureSimilarity };
