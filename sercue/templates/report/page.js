// The switch for code; parameters and what failed are always there.
const box = document.getElementById("show-code");
const fold = () => {
  document.body.classList.toggle("folded", !box.checked);
  for (const code of document.querySelectorAll("details.code:not([data-keep])")) code.open = box.checked;
};
box.addEventListener("change", fold);
fold(); // some browsers keep the switch when a page is opened again

// The section that is being read is marked in the contents.
const rail = document.querySelector(".rail");
const entries = [...rail.querySelectorAll("a[href^='#']")];
const sections = entries.map(entry => document.getElementById(decodeURIComponent(entry.hash.slice(1))));
const follow = () => {
  const atEnd = innerHeight + scrollY >= document.documentElement.scrollHeight - 2;
  const begun = sections.filter(section => section.getBoundingClientRect().top < 120).length;
  const current = atEnd && scrollY > 0 ? entries.length - 1 : begun - 1;
  entries.forEach((entry, place) => {
    if (place !== current) entry.removeAttribute("aria-current");
    else if (!entry.hasAttribute("aria-current")) {
      entry.setAttribute("aria-current", "location");
      rail.scrollTop = entry.offsetTop - rail.clientHeight / 2;
    }
  });
};
addEventListener("scroll", follow, {passive: true});
addEventListener("resize", follow);
follow();
