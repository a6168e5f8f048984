const ROW = 52; // height of an entry of the list, in pixels, as in the style
const at = id => document.getElementById(id);
const make = (tag, attributes, ...children) => {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) made.setAttribute(name, value);
  made.append(...children);
  return made;
};
const three = value => value === null ? "–" : value >= 1000 ? "1.000" : `.${String(value).padStart(3, "0")}`;
const signed = value => value === null ? "–" : `${value < 0 ? "−" : "+"}${three(Math.abs(value))}`;

const beside = matchMedia("(min-width: 960px)");

const start = data => {
  const {names, labels, conditions, answers, probabilities: shares} = data;
  const everyone = names.map((_, place) => place);
  let listed = [], chosen = -1, told = "", condition = 0, reference = 0;

  const share = (label, asked, place) => shares === null || label < 0 ? null : shares[label][asked][place];
  const confidence = (asked, place) => share(answers[asked][place], asked, place);
  const change = place => {
    const [after, before] = [condition, reference].map(one => share(data.truth[place], one, place));
    return after === null || before === null ? null : after - before;
  };
  // Where another utterance is heard, no class is the right one: an answer follows the audio, the tokens, or neither.
  const isRight = (asked, place) => !data.swapped[asked] && answers[asked][place] === data.truth[place];
  const isWrong = (asked, place) => !data.swapped[asked] && !isRight(asked, place);
  const follows = (asked, place) => {
    const swapped = data.swapped[asked], given = answers[asked][place];
    if (!swapped) return "";
    const [heard, read] = [swapped.heard[place], swapped.read[place]];
    if (given >= 0 && given === heard) return given === read ? "audio and tokens" : "audio";
    if (given >= 0 && given === read) return "tokens";
    return read < 0 ? "not audio" : "neither";
  };
  const answerOf = (asked, place) => {
    const given = answers[asked][place];
    const words = given < 0 ? `no class (${data.reasons[data.reason[asked * names.length + place]]})` : labels[given];
    if (data.swapped[asked]) return make("span", {}, `${words} (${follows(asked, place)})`);
    const right = isRight(asked, place);
    return make("span", {class: right ? "right" : "wrong"}, `${words} ${right ? "✓" : "✗"}`);
  };

  // What a filter keeps, in the order of its menu.
  const changed = place => answers[condition][place] !== answers[reference][place];
  const KEPT = {
    "all answers": () => true,
    "correct": place => isRight(condition, place),
    "wrong": place => isWrong(condition, place),
    "changed": changed,
    "changed from correct to wrong": place => isRight(reference, place) && isWrong(condition, place),
    "changed from wrong to correct": place => isWrong(reference, place) && isRight(condition, place),
    "unchanged": place => !changed(place),
  };
  if (Object.keys(data.swapped).length) for (const said of ["audio", "tokens", "neither"])
    KEPT[`swapped audio: ${said === "neither" ? "neither class" : `class of ${said}`}`] = place => follows(condition, place) === said;
  if (answers.some(row => row.includes(-1))) KEPT["no class named"] = place => answers[condition][place] < 0;
  // Utterances without a number stand last; those with equal ones in the order of their names.
  const by = (value, sign) => (a, b) => {
    const [first, second] = [value(a), value(b)];
    if (first === null || second === null) return (first === null) - (second === null);
    return sign * (first - second) || a - b;
  };
  const ORDERS = {"name": (a, b) => a - b};
  if (shares !== null) Object.assign(ORDERS, {
    "confidence, highest first": by(place => confidence(condition, place), -1),
    "confidence, lowest first": by(place => confidence(condition, place), 1),
    "change in probability of the true class, largest loss first": by(change, 1),
    "change in probability of the true class, largest gain first": by(change, -1),
  });

  const select = () => {
    condition = Number(at("condition").value);
    reference = Number(at("reference").value);
    const [kept, truth, speaker] = [KEPT[at("answer").value], at("truth").value, at("speaker").value];
    const part = at("name").value.trim().toLowerCase();
    listed = everyone.filter(place =>
      (truth === "" || data.truth[place] === Number(truth)) &&
      (speaker === "" || data.speaker[place] === Number(speaker)) &&
      (part === "" || names[place].toLowerCase().includes(part)) && kept(place));
    if (at("order").value !== "name") listed.sort(ORDERS[at("order").value]);
    at("entries").textContent = (reference === condition ? "" : `${conditions[reference]} → `) + conditions[condition] +
      (shares === null ? "" : byChange() ? ", with the change in probability of the true class" :
        reference === condition ? ", with its probability" : `, with the probability of the answer under ${conditions[condition]}`);
    at("count").textContent = `${listed.length.toLocaleString("en")} of ${names.length.toLocaleString("en")} utterances`;
    at("all").style.height = `${listed.length * ROW}px`;
    at("list").hidden = !listed.length;
    if (!listed.includes(chosen)) chosen = listed[0] ?? -1;
    show();
    reveal();
    draw();
  };

  // Only the entries that can be seen are there, with a few around them.
  const draw = () => {
    const list = at("list"), first = Math.max(0, Math.floor(list.scrollTop / ROW) - 5);
    const last = Math.min(listed.length, first + Math.ceil(list.clientHeight / ROW) + 10);
    at("all").replaceChildren(...listed.slice(first, last).map((place, step) => entry(place, first + step)));
    if (listed.slice(first, last).includes(chosen)) list.setAttribute("aria-activedescendant", `utterance-${chosen}`);
    else list.removeAttribute("aria-activedescendant");
  };
  const byChange = () => at("order").value.startsWith("change");
  const number = place => shares === null ? "" : byChange() ? signed(change(place)) : three(confidence(condition, place));
  const entry = (place, step) => {
    const answer = make("span", {}, answerOf(condition, place));
    if (reference !== condition) answer.prepend(answerOf(reference, place), " → ");
    const made = make("div", {role: "option", id: `utterance-${place}`, "aria-selected": place === chosen,
      "aria-setsize": listed.length, "aria-posinset": step + 1, style: `top: ${step * ROW}px`},
      make("span", {class: "name"}, names[place]),
      make("span", {class: "number quiet"}, `${data.speakers[data.speaker[place]]}, ${labels[data.truth[place]]}`),
      answer, make("span", {class: "number"}, number(place)));
    made.addEventListener("click", () => {
      choose(place);
      // Where the list is above it, the utterance may be out of sight.
      if (!beside.matches) at("chosen").scrollIntoView();
    });
    return made;
  };
  const choose = place => {
    chosen = place;
    show();
    reveal();
    draw();
  };
  const reveal = () => {
    const list = at("list"), top = listed.indexOf(chosen) * ROW;
    if (top < list.scrollTop) list.scrollTop = Math.max(0, top);
    else if (top + ROW > list.scrollTop + list.clientHeight) list.scrollTop = top + ROW - list.clientHeight;
  };
  const STEPS = {ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8, End: Infinity, Home: -Infinity};
  at("list").addEventListener("keydown", event => {
    if (!(event.key in STEPS) || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const step = listed.indexOf(chosen) + STEPS[event.key];
    choose(listed[Math.min(listed.length - 1, Math.max(0, step))]);
  });
  at("list").addEventListener("scroll", () => requestAnimationFrame(draw), {passive: true});
  addEventListener("resize", draw);

  // The chosen utterance.
  const show = () => {
    const wanted = JSON.stringify([chosen, condition, reference]);
    if (wanted === told) return;
    told = wanted;
    if (chosen < 0) return at("chosen").replaceChildren(make("p", {}, "No utterance is listed."));
    history.replaceState(null, "", `#${encodeURIComponent(names[chosen])}`);
    const compared = [...new Set([reference, condition])];
    const main = conditions.map((_, one) => one).filter(one => !data.single[one] || compared.includes(one));
    const single = conditions.map((_, one) => one).filter(one => !main.includes(one));
    const back = make("button", {class: "back", type: "button"}, "Back to the list");
    back.addEventListener("click", () => {
      at("list").focus({preventScroll: true});
      at("list").scrollIntoView({block: "center"});
    });
    at("chosen").replaceChildren(
      back, make("h2", {}, names[chosen]),
      make("p", {}, `Speaker ${data.speakers[data.speaker[chosen]]}, true class `, make("b", {}, labels[data.truth[chosen]]), "."),
      player(chosen),
      ...instead(chosen),
      make("h3", {}, compared.length > 1 ? "Prompts of the two conditions" : "Prompt"),
      ...compared.map(one => prompt(one, chosen)),
      later("Prompts of all conditions", () => conditions.map((_, one) => prompt(one, chosen))),
      make("h3", {}, shares === null ? "Answers by condition" : "Probabilities by condition"),
      table(main, compared));
    if (single.length) at("chosen").append(later(`Conditions on concepts (${single.length})`, () => [table(single, [])]));
    fit();
  };
  const later = (summary, content) => {
    const details = make("details", {}, make("summary", {}, summary));
    details.addEventListener("toggle", () => {
      details.append(...content());
      fit();
    }, {once: true});
    return details;
  };
  const player = place => {
    if (!(place in players())) return make("p", {class: "quiet"}, noPlayers);
    return make("audio", {controls: "", preload: "none", "aria-label": `Recording of ${names[place]}`,
      src: `data:audio/mpeg;base64,${players()[place]}`});
  };
  // What is heard in place of the utterance: another one, which has a player of its own, or something made from it.
  const instead = place => {
    const told = [], swapped = Object.values(data.swapped).find(one => one.heard[place] >= 0);
    if (swapped) {
      const heard = swapped.partner[place], partner = heard < 0 ? "another utterance" : names[heard];
      told.push(make("p", {class: "partner"}, "Under conditions with @ swapped, ", make("b", {}, partner), ` (${labels[swapped.heard[place]]}` +
        `${heard < 0 ? "" : `, speaker ${data.speakers[data.speaker[heard]]}`}) is heard in its place. Answers are then ` +
        "marked by what they follow: (audio) is the class of the audio that is heard, (tokens) that of the tokens, (neither) is neither class; (not audio) is not the class heard, where the tokens have no class."));
      if (heard in players()) told.push(player(heard));
    }
    if (data.unheard.some(Boolean)) told.push(make("p", {}, "Under conditions with @ silent there is no audio, only silence of the same length."));
    return told;
  };
  const heardUnder = (asked, place) => {
    const swapped = data.swapped[asked];
    return swapped ? ` (heard: ${labels[swapped.heard[place]] ?? "not known"})` : data.unheard[asked] ? " (no audio)" : "";
  };
  const prompt = (asked, place) => {
    const {instruction, cues, item, separator, answer} = data.prompt;
    const tokens = data.concepts.flatMap((concept, one) => {
      const word = data.shown[one][asked][place], own = data.own[one][place];
      if (word < 0) return [];
      const text = item.split("{concept}").map(part => part.split("{word}").join(data.words[one][word])).join(concept);
      return [own !== undefined && word !== own ? make("mark", {}, text) : text];
    });
    const text = make("p", {}, instruction);
    if (tokens.length) {
      const [before, after] = cues.split("{tokens}");
      text.append(before, ...tokens.flatMap((token, place) => place ? [separator, token] : [token]), `${after} `);
    }
    text.append(answer);
    return make("div", {class: "prompt"}, make("b", {}, conditions[asked]), heardUnder(asked, place), " ", answerOf(asked, place), text);
  };
  const table = (rows, compared) => {
    const truth = data.truth[chosen];
    const head = labels.map((label, one) => make("th", {scope: "col", style: `width: ${60 / labels.length}%`}, one === truth ? `${label} (true)` : label));
    const body = rows.map(one => make("tr", {class: compared.includes(one) ? "compared" : ""},
      make("th", {scope: "row"}, conditions[one], heardUnder(one, chosen)), make("td", {class: "words"}, answerOf(one, chosen)),
      ...(shares === null ? [] : labels.map((_, label) => make("td", {
        class: label === answers[one][chosen] ? "share given" : "share",
        style: `--share: ${(share(label, one, chosen) ?? 0) / 10}%`}, three(share(label, one, chosen)))))));
    const columns = [make("th", {scope: "col", class: "rows"}, "condition"), make("th", {scope: "col", class: "words"}, "answer")];
    const drawn = make("table", {}, make("thead", {}, make("tr", {}, ...columns, ...(shares === null ? [] : head))), make("tbody", {}, ...body));
    return make("div", {class: "frame"},
      make("div", {class: "scroll", tabindex: "0", role: "region", "aria-label": "Answers by condition"}, drawn));
  };

  // The menus.
  const fill = (id, texts, values = texts) => at(id).append(...texts.map((text, place) => make("option", {value: values[place]}, text)));
  for (const id of ["condition", "reference"]) {
    const places = conditions.map((_, place) => place), single = places.filter(place => data.single[place]);
    const main = places.filter(place => !data.single[place]);
    fill(id, main.map(place => conditions[place]), main);
    if (single.length) at(id).append(make("optgroup", {label: "single concepts"},
      ...single.map(place => make("option", {value: place}, conditions[place]))));
  }
  const first = (...wanted) => wanted.map(name => conditions.indexOf(name)).find(place => place >= 0) ?? 0;
  at("condition").value = condition = first("conflicting", "aligned");
  at("reference").value = reference = first("aligned");
  fill("answer", Object.keys(KEPT));
  fill("truth", ["all classes", ...labels], ["", ...labels.keys()]);
  fill("speaker", ["all speakers", ...data.speakers], ["", ...data.speakers.keys()]);
  fill("order", Object.keys(ORDERS));
  for (const id of ["condition", "reference", "answer", "truth", "speaker"]) at(id).addEventListener("change", select);
  at("order").addEventListener("change", () => {
    chosen = -1; // whoever sorts wants to see the first
    select();
  });
  at("name").addEventListener("input", select);
  document.querySelector(".filters").addEventListener("submit", event => event.preventDefault());
  let wanted = "";
  try { wanted = decodeURIComponent(location.hash.slice(1)); } catch { /* no name of an utterance */ }
  const named = names.indexOf(wanted);
  // Without one in the address, the first whose answer changes.
  chosen = named >= 0 ? named : Math.max(0, everyone.findIndex(changed));
  document.querySelector(".two").hidden = false;
  select();
};

let recordings;
const players = () => recordings ??= JSON.parse(at("players").textContent);
const read = async () => {
  const packed = Uint8Array.from(atob(at("data").textContent), char => char.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return JSON.parse(await new Response(stream).text());
};
read().then(start).catch(error => {
  at("trouble").hidden = false;
  throw error;
});
