// Only a box with something to scroll takes part in the order of the tab key; its frame shows the
// sides on which there is more.
const cut = box => {
  const hidden = box.scrollWidth - box.clientWidth;
  box.parentElement.classList.toggle("wide", hidden > 1);
  box.parentElement.classList.toggle("more-left", box.scrollLeft > 1);
  box.parentElement.classList.toggle("more-right", hidden - box.scrollLeft > 1);
};
const fit = () => {
  for (const each of document.querySelectorAll(".scroll")) {
    if (each.scrollWidth > each.clientWidth || each.scrollHeight > each.clientHeight) each.tabIndex = 0;
    else each.removeAttribute("tabindex");
    if (each.matches(FRAMED)) cut(each);
  }
};
const FRAMED = ".frame > .scroll";
addEventListener("resize", fit);
addEventListener("load", fit);
// Of these two, only elements themselves are told.
document.addEventListener("scroll", event => {
  if (event.target.matches?.(FRAMED)) cut(event.target);
}, {capture: true, passive: true});
document.addEventListener("toggle", fit, {capture: true});

// A figure opens large, and is saved as it stands in the page.
const large = document.createElement("dialog");
large.className = "large";
large.addEventListener("click", event => { if (event.target === large) large.close(); });
document.body.append(large);
const enlarge = figure => {
  const close = document.createElement("button"), box = document.createElement("div");
  close.append("Close");
  close.addEventListener("click", () => large.close());
  box.className = "whole";
  box.tabIndex = 0;
  box.append(figure.querySelector("img").cloneNode());
  large.setAttribute("aria-label", figure.querySelector("figcaption").textContent);
  large.replaceChildren(close, box);
  large.showModal();
};
for (const figure of document.querySelectorAll("figure.plot")) {
  const image = figure.querySelector("img"), open = document.createElement("button");
  const files = figure.querySelector(".files") ?? document.createElement("p");
  files.className = "files";
  open.append("Enlarge");
  // The focus comes back to where it was when a dialog is closed.
  image.addEventListener("click", () => { open.focus(); enlarge(figure); });
  open.addEventListener("click", () => enlarge(figure));
  files.prepend(open);
  if (figure.dataset.name) {
    const save = document.createElement("a");
    save.append("SVG");
    save.download = `${figure.dataset.name}.svg`;
    save.href = image.src;
    open.after(" ", save);
  }
  figure.append(files);
}
