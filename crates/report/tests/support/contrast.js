// The words of the page whose contrast with their ground is below WCAG 2.2's level AA (success criterion 1.4.3), one a line.
(() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  canvas.canvas.width = canvas.canvas.height = 1;
  // Any CSS colour, drawn on what is below it.
  const over = (colour, ground) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = `rgb(${ground.join(" ")})`;
    canvas.fillRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data.slice(0, 3)];
  };
  const groundOf = (element) => {
    const chain = [];
    for (let e = element; e; e = e.parentElement) chain.unshift(e);
    return chain.reduce((ground, e) => over(getComputedStyle(e).backgroundColor, ground), [255, 255, 255]);
  };
  const luminance = (colour) => {
    const [r, g, b] = colour.map((c) => c / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (a, b) => {
    const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
    return (high + 0.05) / (low + 0.05);
  };
  const faint = [];
  for (const element of document.querySelectorAll("body *")) {
    const words = [...element.childNodes].filter((n) => n.nodeType === Node.TEXT_NODE).map((n) => n.data.trim()).join("");
    if (!words || element.closest("[hidden], script, title, #tooltip") || element.checkVisibility?.() === false) continue;
    const style = getComputedStyle(element);
    const ground = groundOf(element);
    const colour = over(element.namespaceURI.endsWith("svg") ? style.fill : style.color, ground);
    const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && style.fontWeight >= 700);
    const found = contrast(colour, ground);
    if (found < (large ? 3 : 4.5)) faint.push(`${found.toFixed(2)} ${element.tagName}.${element.getAttribute("class")} ${words.slice(0, 30)}`);
  }
  return [...new Set(faint)].slice(0, 12).join("\n");
})()
