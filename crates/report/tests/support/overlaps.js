// Returns the texts of figures that a curve or a dot runs through, the texts that are cut off, and the pairs of texts that
// overlap.
(() => {
  const found = [];
  const contains = (box, x, y) => x > box.x && x < box.x + box.width && y > box.y && y < box.y + box.height;
  const overlap = (a, b) =>
    a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height - 1 && b.y < a.y + a.height - 1;
  for (const svg of document.querySelectorAll('svg.figure')) {
    const texts = [...svg.querySelectorAll('text')].map((text) => [text.textContent, text.getBBox()]);
    const points = [...svg.querySelectorAll('circle')].map((dot) => ({ x: dot.cx.baseVal.value, y: dot.cy.baseVal.value }));
    for (const curve of svg.querySelectorAll('path[fill="none"]')) {
      for (let at = 0; at <= curve.getTotalLength(); at += 1) points.push(curve.getPointAtLength(at));
    }
    for (const [text, box] of texts) {
      if (points.some((point) => contains(box, point.x, point.y))) found.push(`${svg.id}: a curve covers "${text}"`);
      if (box.x < -1 || box.x + box.width > svg.viewBox.baseVal.width + 1) found.push(`${svg.id}: "${text}" is cut off`);
    }
    texts.forEach(([a, boxA], i) => {
      for (const [b, boxB] of texts.slice(i + 1)) {
        if (overlap(boxA, boxB)) found.push(`${svg.id}: "${a}" overlaps "${b}"`);
      }
    });
  }
  return found.join('\n');
})()
