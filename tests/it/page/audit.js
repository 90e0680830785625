// What is wrong with the page for those who see little, hear it read, or use the keyboard: a list
// of words, empty if nothing is.
(() => {
  const wrong = [];
  const say = (words, element) => wrong.push(`${words}: ${element.outerHTML.slice(0, 120)}`);

  // Colours: text against what is behind it (WCAG 2, 1.4.3).
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 1;
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  const colour = (text) => {
    pen.clearRect(0, 0, 1, 1);
    pen.fillStyle = text;
    pen.fillRect(0, 0, 1, 1);
    return [...pen.getImageData(0, 0, 1, 1).data];
  };
  const over = ([r, g, b, a], below) => {
    const part = a / 255;
    return [r, g, b].map((value, at) => value * part + below[at] * (1 - part));
  };
  const behind = (element) => {
    if (!element) return [255, 255, 255];
    return over(colour(getComputedStyle(element).backgroundColor), behind(element.parentElement));
  };
  const light = (rgb) => {
    const [r, g, b] = rgb.map((value) => {
      const part = value / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || !element.checkVisibility()) continue;
    if (element.closest("script, style, .unseen")) continue;
    const style = getComputedStyle(element);
    const back = behind(element);
    const [a, b] = [light(over(colour(style.color), back)), light(back)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    if (ratio < (large ? 3 : 4.5)) say(`contrast ${ratio.toFixed(2)}`, element);
  }

  // Names and structure.
  if (!document.documentElement.lang) wrong.push("no language");
  if (!document.title) wrong.push("no title");
  for (const image of document.images) if (!image.alt.trim()) say("no alt", image);
  for (const head of document.querySelectorAll("th")) if (!head.scope) say("no scope", head);
  for (const button of document.querySelectorAll("button, a, summary")) {
    if (!button.textContent.trim()) say("no name", button);
  }
  for (const region of document.querySelectorAll("[role=region], [role=group]")) {
    if (!region.getAttribute("aria-label")) say("no name", region);
  }
  const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
  for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) wrong.push(`twice: #${id}`);
  for (const link of document.querySelectorAll("a[href^='#']")) {
    if (!document.getElementById(link.hash.slice(1))) say("leads nowhere", link);
  }
  let level = 0;
  for (const heading of document.querySelectorAll("h1, h2, h3, h4")) {
    const next = Number(heading.tagName[1]);
    if (next > level + 1) say("skips a level", heading);
    level = next;
  }
  if (document.querySelectorAll("h1").length !== 1) wrong.push("not one h1");
  return wrong;
})();
