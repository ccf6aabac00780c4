"use strict";
const sections = [...document.querySelectorAll("main > section")];
const links = [...document.querySelectorAll("nav a")];
const byId = (id) => document.getElementById(id);
let shown = 0;

function show(index, moveFocus) {
  shown = Math.max(0, Math.min(index, sections.length - 1));
  sections.forEach((section, i) => { section.hidden = i !== shown; });
  links.forEach((link, i) => {
    if (i === shown) link.setAttribute("aria-current", "step");
    else link.removeAttribute("aria-current");
  });
  byId("back").disabled = shown === 0;
  byId("next").disabled = shown === sections.length - 1;
  byId("said").textContent =
    `Stage ${shown + 1} of ${sections.length}: ${sections[shown].dataset.name}`;
  const lines = sections[shown].querySelector(".lines");
  const changed = lines && lines.querySelector(".row:not(.kept)");
  if (changed) {
    const from = changed.offsetTop - lines.offsetTop;
    lines.scrollTop = from > 0.7 * lines.clientHeight ? from - 0.3 * lines.clientHeight : 0;
  }
  if (moveFocus) sections[shown].querySelector("h2").focus();
}

function find(words) {
  const wanted = words.trim().toLowerCase();
  document.body.classList.toggle("finding", wanted !== "");
  sections.forEach((section, i) => {
    let count = 0;
    for (const row of section.querySelectorAll(".row")) {
      const has = wanted !== "" && row.textContent.toLowerCase().includes(wanted);
      row.classList.toggle("found", has);
      count += has;
    }
    links[i].querySelector(".hits").textContent = count ? ` ${count} found` : "";
  });
}

function light(event) {
  const from = event.target.closest("[data-n], .node");
  for (const lit of document.querySelectorAll(".lit")) lit.classList.remove("lit");
  if (!from) return;
  const named = [...from.classList].find((name) => /^n\d+$/.test(name));
  const number = from.dataset.n || (named && named.slice(1));
  if (!number) return;
  for (const other of sections[shown].querySelectorAll(`[data-n="${number}"], .node.n${number}`))
    other.classList.add("lit");
}

byId("back").addEventListener("click", () => show(shown - 1, false));
byId("next").addEventListener("click", () => show(shown + 1, false));
links.forEach((link, i) => link.addEventListener("click", (event) => {
  event.preventDefault();
  show(i, true);
}));
byId("find").addEventListener("input", (event) => find(event.target.value));
byId("only").addEventListener("change", (event) =>
  document.body.classList.toggle("only", event.target.checked));
for (const button of document.querySelectorAll("figure .size")) {
  button.hidden = false;
  button.addEventListener("click", () => {
    const isFull = button.parentElement.classList.toggle("full");
    button.setAttribute("aria-pressed", isFull);
  });
}
document.querySelector("main").addEventListener("mouseover", light);
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const isTyping = event.target.matches("input[type=search]");
  if (event.key === "Escape" && isTyping) event.target.blur();
  if (isTyping) return;
  const last = sections.length - 1;
  const to = { ArrowLeft: shown - 1, ArrowRight: shown + 1, Home: 0, End: last }[event.key];
  if (to !== undefined && !event.target.matches(".lines")) {
    event.preventDefault();
    show(to, false);
  } else if (event.key === "/") {
    event.preventDefault();
    byId("find").focus();
  }
});

document.querySelector(".tools").hidden = false;
document.body.classList.add("stepping");
const asked = sections.findIndex((section) => "#" + section.id === location.hash);
show(Math.max(asked, 0), false);
