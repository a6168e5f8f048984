// Only a box with something to scroll takes part in the order of the tab key.
const boxes = document.querySelectorAll(".scroll");
const fit = () => {
  for (const each of boxes) {
    if (each.scrollWidth > each.clientWidth || each.scrollHeight > each.clientHeight) each.tabIndex = 0;
    else each.removeAttribute("tabindex");
  }
};
addEventListener("resize", fit);
addEventListener("load", fit);
for (const details of document.querySelectorAll("details")) details.addEventListener("toggle", fit);
