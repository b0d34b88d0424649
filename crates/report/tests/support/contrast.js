// Lists the texts of the page whose contrast with the background is below level AA of WCAG 2.2 (success criterion 1.4.3).
(() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  canvas.canvas.width = canvas.canvas.height = 1;
  // Blends a CSS colour, which can be transparent, over a background.
  const blend = (colour, background) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = `rgb(${background.join(" ")})`;
    canvas.fillRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data.slice(0, 3)];
  };
  const backgroundOf = (element) => {
    const chain = [];
    for (let e = element; e; e = e.parentElement) chain.unshift(e);
    return chain.reduce((background, e) => blend(getComputedStyle(e).backgroundColor, background), [255, 255, 255]);
  };
  const luminance = (colour) => {
    const [r, g, b] = colour.map((c) => c / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (a, b) => {
    const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
    return (high + 0.05) / (low + 0.05);
  };
  const lowContrast = [];
  for (const element of document.querySelectorAll("body *")) {
    const text = [...element.childNodes].filter((n) => n.nodeType === Node.TEXT_NODE).map((n) => n.data.trim()).join("");
    if (!text || element.closest("[hidden], script, title, #tooltip") || element.checkVisibility?.() === false) continue;
    const style = getComputedStyle(element);
    const background = backgroundOf(element);
    const colour = blend(element.namespaceURI.endsWith("svg") ? style.fill : style.color, background);
    const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && style.fontWeight >= 700);
    const ratio = contrast(colour, background);
    if (ratio < (large ? 3 : 4.5)) lowContrast.push(`${ratio.toFixed(2)} ${element.tagName}.${element.getAttribute("class")} ${text.slice(0, 30)}`);
  }
  return [...new Set(lowContrast)].slice(0, 12).join("\n");
})()
