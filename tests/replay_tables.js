/* replay_tables.js - makes of what was recorded the tables of a page, or the picture.
 * It is in the page only while record.py makes it. */
"use strict";
const recorded = {{recorded}};
const word = (key, section = "words") => recorded.words[section][key].trim().split("\n")[recorded.language].trim();
const filled = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
const escaped = text => text.replace(/[&<>]/g, found => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;" })[found]);
const marked = text => escaped(text).replace(/`(.*?)`/g, "<code>$1</code>");
const circled = terminal => "①②③"[terminal];
const SIGNALS = { 2: "SIGINT", 9: "SIGKILL" };
const FLAGS = { S: "SYN", F: "FIN", R: "RST", P: "PSH", ".": "ACK" };

/* The sentence for an event: that of the first rule that fits. Each rule shall be of use. */
const used = new Set();
function sentence(event, values) {
  const rule = Object.keys(recorded.words.sentences).find(one => new RegExp(one).test(event));
  if (!rule) throw Error(`replay.ini has no sentence for: ${event}`);
  used.add(rule);
  const text = filled(word(rule, "sentences"), { ...new RegExp(rule).exec(event), ...values });
  return text === "-" ? "" : marked(text) + (/[。”]$/.test(text) ? "" : " ");
}

/* A segment, from the line and the bytes of tcpdump. */
function readSegment(row, scene) {
  const [, from, to, what] = /^(\S+) > (\S+): (.*)/.exec(row.event);
  const flags = [.../Flags \[(.*?)\]|$/.exec(what)[1] || ""].map(flag => FLAGS[flag]);
  const digits = row.event.replace(/^.*\n|0x\w+:|\s/g, "");
  const bytes = Uint8Array.from(digits.match(/../g), pair => parseInt(pair, 16));
  const start = 4 * (bytes[0] & 15);
  const data = start + (flags.length ? 4 * (bytes[start + 12] >> 4) : 8);
  row.size = Number(/length (\d+)/.exec(what)[1]);
  row.label = flags.join(", ") || (what.includes("ICMP") ? "ICMP" : "UDP");
  row.data = row.label === "ICMP" ? "" : new TextDecoder().decode(bytes.slice(data, data + row.size));
  scene.scales[from] = Number((/wscale (\d+)/.exec(what) || [0, scene.scales[from] || 0])[1]);
  row.socket = `tcp ${from} ${to}`.replace(/\.(\d+)(?= |$)/g, ":$1");
  row.window = Number((/ win (\d+)/.exec(what) || [0, 0])[1]) << (flags.includes("SYN") ? 0 : scene.scales[from]);
  const owner = end => scene.owners[end.replace(/\.(\d+)$/, ":$1")] || row.sender;
  const unreachable = /udp port (\d+) unreachable/.exec(what);
  row.ends = unreachable ? [owner(`${from}.${unreachable[1]}`), row.sender] : [owner(from), owner(to)];
  row.event = `sends ${row.label} ${row.size} window ${row.window}`;
}

/* Adds to a scene who is who, and to each row what has to be said about it. */
function prepare(scene) {
  scene.states = [[]];
  for (const row of scene.rows) {
    row.isStale = !row.held; /* nobody has looked at this moment */
    if (row.held && JSON.stringify(row.held) !== JSON.stringify(scene.states.at(-1))) scene.states.push(row.held);
    row.state = scene.states.length - 1;
    for (const status of Object.values(row.status))
      if (!/^(waits|suspended)/.test(status[0])) status[0] = status[0] === "end" ? "ended" : "ready";
  }
  scene.owners = {};
  /* UNIX sockets have small numbers, in their order. */
  const numbers = [];
  for (const row of scene.states.flat().filter(([identity]) => identity.startsWith("unix "))) {
    if (!numbers.includes(row[0])) numbers.push(row[0]);
    row[0] = `unix ${numbers.indexOf(row[0])}`;
  }
  const rank = ([identity, state]) => (state === "LISTEN" ? 0 : 1) + identity;
  for (const state of scene.states) state.sort((one, other) => rank(one) < rank(other) ? -1 : 1);
  /* A socket that has no address yet, as UNIX sockets have it. */
  for (const row of scene.states.flat()) row[2] = row[2].replace(/^0\.0\.0\.0:0$/, "*");
  scene.scales = {};
  for (const [identity, , local, , , , holders] of scene.states.flat())
    if (holders.length) scene.owners[identity] = scene.owners[local] = holders[0][0];
  for (const [pid, label, terminal] of scene.processes) {
    const twins = scene.processes.filter(other => other[1] === label && other[2] !== terminal);
    scene.of[pid] = { label, terminal, name: label + (twins.length ? " " + circled(terminal) : "") };
    scene.of[pid].role = word(/_([a-z]+)/.exec(label)[1]);
  }
  const names = [];
  let running = [];
  for (const row of scene.rows) {
    const { label = "", name = "" } = scene.of[row.process] || {};
    const started = Object.keys(row.status).filter(pid => !running.includes(pid)).map(pid => scene.of[pid].label);
    running = Object.keys(row.status);
    if (row.kind === "typed" && started.length) row.event += ` and starts ${started.join(", ")}`;
    if (row.kind === "end") row.event = row.event.replace(/\d+$/, status => SIGNALS[status & 127] || status >> 8);
    if (row.kind === "segment") readSegment(row, scene);
    if (row.kind === "line" && !row.text.startsWith(label + ": ")) row.event = "prints";
    const who = name.replace(/\[.*/, "-child").replace(/^\w+?_| /g, "") || ["first", "second", "third"][row.terminal];
    const verb = /^(?:[\w[\]]+: )?(\w+)/.exec(row.event)[1] + (/ waits for /.test(row.event) ? "-waits" : "");
    const slug = row.kind === "segment" ? row.label.toLowerCase().replace(/, /g, "-") : `${who}.${verb}`;
    names.push(slug);
    const count = names.filter(one => one === slug).length;
    row.name = slug + (count > 1 ? `-${count}` : "");
  }
}

/* Adds to the event of a row what the rows around it tell. */
function addContext(scene, row, index, rows) {
  const before = rows[index - 1] || {}, after = rows[index + 1] || {};
  const state = scene.states[row.state];
  const done = rows.slice(0, index).reverse().find(one => one.kind !== "segment") || {};
  const told = rows.slice(index).find(one => one.kind !== "segment") || {};
  const earlier = rows.slice(0, index), was = scene.states[before.state || 0];
  const own = earlier.filter(one => one.process && one.process === row.process);
  const of = (rows, event) => rows.filter(one => event.test(one.event)).length;
  const has = (event, context, holds) => { if (event.test(row.event) && holds) row.event = row.event.trim() + context; };
  has(/^types \^Z/, ` after ${before.event}`, true);
  has(/tcp_client: connect\(.* = 0/, ", and no accept", !of(earlier, /accept\(\d+\) waits/));
  has(/ waits for /, " at once", /: (open|connect)\(/.test(row.event) ? after.process === row.process
    : (row.status[row.process] || [])[0] === "ready");
  const next = rows.slice(index + 1).find(one => one.process === row.process) || {};
  has(/ at once$/, ", the end", /read\(.* = 0|shutdown\(/.test(next.event));
  const [, opens] = /: (open|connect)\(.* waits for (?!.* at once)/.exec(row.event) || [];
  if (opens) row.status[row.process][0] = `waits ${opens}`;
  const [held] = state.flatMap(one => one[1] === "LISTEN" ? [] : one[6]).filter(([pid]) => pid === row.process);
  has(/accept\(\d+\) waits/, ` with ${held && held[1]} open`, held);
  has(/bind\(.* = 0/, " beside it", state.some(one => one[1] === "TIME-WAIT"));
  has(/tcp_.*: write\(.* = /, " kept", after.kind !== "segment");
  has(/ kept$/, " after a wait", of(own, /^inside write/));
  const writes = of(earlier.slice(earlier.lastIndexOf(own.findLast(one => /: read\(.* = /.test(one.event))) + 1), /tcp_client.*: write\(/);
  has(/tcp_server.*: read\(.* = [1-9]/, ` of ${writes} writes`, writes > 1);
  /* A call that has taken bytes before it returns: what is in the buffer then came later. */
  const taking = earlier.slice(earlier.lastIndexOf(done) + 1).find(one => / in read/.test(one.event));
  const [, , , , later] = taking && state.find(one => one[0] === taking.socket) || [];
  row.taking = taking && taking.socket;
  has(/: read\(.* = [1-9]/, ` taken before ${later}`, taking);
  has(/fifo_reader: read\(/, " after unlink", of(own, /unlink\(/));
  has(/unix_.*: ends SIG/, " and leaves a file", state.some(one => one[1] === "socket file"));
  has(/tcp_client: hint/, " after FIN", of(earlier, /^sends FIN.* at end/));
  has(/tcp_server: hint/, " beside it", state.some(one => one[1] === "TIME-WAIT"));
  /* Which answer a client of UDP takes: the server has sent it so many. */
  const asked = of(own, /: sendto\(/), answered = of(earlier.slice(earlier.indexOf(own[0])), /udp_server: sendto\(/);
  has(/udp_client: recvfrom\(.* = \d/, ` to ${answered} in ${asked} late`, answered < asked);
  const dropped = rows => (rows.find(one => one[1] === "drop") || [])[4];
  row.isLost = row.label === "UDP" && dropped(state) > dropped(was);
  has(/^sends UDP/, " dropped", row.isLost);
  has(/^sends UDP/, " to nobody", after.label === "ICMP");
  const [, , , , unread, , holders = []] = was.find(one => one[0] === row.socket) || [];
  row.holder = holders[0] && holders[0][0];
  has(/^sends RST/, " unread", unread > 0);
  /* What a waiting write was given has arrived, is in the send buffer, or is still in the program. */
  const writer = Object.keys(row.status).find(pid => row.status[pid][0] === "waits write");
  const [, , , , , full] = state.find(one => one[6].some(([pid]) => String(pid) === writer)) || [];
  const [, written] = /write\(.* = (\d+)/.exec((rows.slice(index).find(one => String(one.process) === writer) || {}).event) || [];
  const sent = earlier.filter(one => row.ends && one.ends && one.ends[0] === row.ends[1]).reduce((sum, one) => sum + one.size, 0);
  has(/^sends ACK 0 window 0$/, ` full ${full} left ${written - sent - full}`, full);
  const [, taken] = told.process === row.sender && /: read\(.* = (\d+)/.exec(told.event) || [];
  has(/^sends ACK 0/, ` in read of ${taken}`, before.kind !== "segment" && unread > 0 && unread === Number(taken));
  has(/^sends ACK 0 window \d+$/, " of the end", /FIN/.test(before.label));
  has(/^sends FIN, ACK 0.*\d$/, ` after ${(/(close|shutdown)\(/.exec(done.event) || [])[1]}`, /(close|shutdown)\(/.test(done.event) && done.process === row.sender);
  has(/^sends FIN, ACK 0.*\d$/, " at end", told.kind === "end" && (!row.sender || told.process === row.sender));
  /* While the kernel is still sending, the others are as they were. */
  if (after.kind === "segment")
    for (const pid of Object.keys(row.status))
      if (Number(pid) !== row.process && row.status[pid][0] !== "ended" && before.status && before.status[pid]) row.status[pid] = before.status[pid];
}

/* What happened, and what has changed in the kernel. */
function happened(scene, row, before, after) {
  const inWords = texts => recorded.language ? texts.join("、") : new Intl.ListFormat("en-GB").format(texts);
  const list = pids => inWords(pids.map(pid => "`" + scene.of[pid].name + "`"));
  const [from, to] = (row.ends || []).map(pid => scene.of[pid].role);
  const capital = text => text && text[0].toUpperCase() + text.slice(1);
  let text = sentence(row.event, { who: row.process ? list([row.process]) : "", from, From: capital(from), to,
    holder: row.holder ? list([row.holder]) : "",
    terminal: row.terminal === null ? "" : word(`terminal ${row.terminal + 1}`) });
  const [state, old] = [scene.states[row.state], scene.states[before]];
  for (const now of state) {
    const was = old.find(one => one[0] === now[0]) || [0, "none", "", "", 0, 0, []];
    const end = (scene.of[scene.owners[now[0]] || scene.owners[now[2]]] || { role: "" }).role;
    const other = state.find(one => one[0] === now[0].replace(/(\S+) (\S+)$/, "$2 $1"));
    const context = (now[4] > was[4] ? " more" : "") + (now[0] === row.taking ? " taken" : "")
      + (now[1] !== was[1] && other && !other[6].length ? " to nobody" : "");
    if (now[1] !== was[1] || now[4] !== was[4])
      text += sentence(`socket ${now[1]} ${now[4]} ${now[0].split(" ")[0]} was ${was[1]} ${was[4]}${context}`, { end, End: capital(end) });
    const alone = state.find(one => one[1] === "socket" && String(one[6][0]) === String(was[6][0]));
    const holders = alone ? alone[6] : now[6];
    /* Whether nobody who still has it is about to send, or to close it. */
    const [reader] = (other ? other[6] : []).filter(([pid]) => row.status[pid] && row.status[pid][0] === "waits read");
    const isIdle = now[6].every(([pid]) => row.status[pid] && row.status[pid][0].startsWith("waits"));
    const left = alone ? " open" : reader && isIdle ? " awaited"
      : now[6].some(([pid]) => /writer/.test(scene.of[pid].label)) ? "" : " for no writer";
    if (now[6].length < was[6].length && row.kind !== "typed")
      text += sentence(`left to ${now[6].length} ${now[1]} ${now[0].split(" ")[0]}${left}`,
        { who: list(holders.map(([pid]) => pid)), fd: holders.map(([, fd]) => fd)[0], reader: reader && list([reader[0]]) });
  }
  /* One end of a UNIX connection has gone, and the other is still there. */
  const [ended, rest] = [old, state].map(rows => rows.filter(([identity, name]) => name === "ESTAB" && identity.startsWith("unix ")));
  if (ended.length > rest.length && rest.length) text += sentence("gone unix", { who: list(rest[0][6].map(([pid]) => pid)) });
  if (after && after.kind === "segment") return text;
  const ready = Object.keys(row.status).filter(pid => row.status[pid][0] === "ready");
  const waits = inWords(Object.keys(row.status).filter(pid => row.status[pid][0].startsWith("waits"))
    .map(pid => `${list([pid])} (${row.status[pid][0].slice(6)})`));
  return `${text}<small>${waits && sentence("waits", { who: waits })}${
    ready.length > 1 ? sentence("ready", { who: list(ready) }) : ""}</small>`;
}

/* An arrow of the wire, between two processes. */
function arrow(scene, [from, to], { label, size, window, data, isLost }) {
  const way = filled(word("way"), { one: scene.of[from].role, other: scene.of[to].role });
  let text = size ? `<small>${label}</small> ${filled(word("bytes"), { size })}` : label;
  if (label === "ACK" && !size && window <= 4096) text += ` <small>${filled(word("window"), { size: window })}</small>`;
  if (data) text += ` <code>${escaped(JSON.stringify(data.slice(0, 16)).slice(0, -1) + (data.length > 16 ? "…" : '"'))}</code>`;
  if (isLost) text += ` <small>${word("dropped")}</small>`;
  return `<span class="arrow ${isLost ? "lost " : ""}to-${scene.of[from].terminal < scene.of[to].terminal ? "right" : "left"}"><span class="unseen">${way} </span>${text}</span>`;
}

/* What a process hands over to the kernel where there is no wire. */
function handed(scene, row) {
  const [, call, , size] = /^(?:unix|fifo)_.*: (write|connect)\((.*) = (\d+)/.exec(row.event) || [];
  const other = call && scene.processes.find(one => (one[2] === 0) !== (row.terminal === 0));
  return other ? arrow(scene, [row.process, other[0]], { label: size > 0 ? "" : call, size: Number(size) }) : "";
}

function tableRow(scene, row, index, rows) {
  const shown = escaped(row.text.replace(/\n$/, "") || (row.kind === "typed" ? row.event.slice(6) : ""))
    .replace(/^(\w+(?:\[\d+\])?:) (?=[a-z])/, "<i>$1</i> ");
  /* Who types in the third terminal, and in the second, is said by a number, too. */
  const { label, name } = scene.of[row.process] || {};
  const place = scene.hasThird && row.terminal > 0 && (name !== label || row.kind === "typed") ? `<b>${circled(row.terminal)}</b> ` : "";
  const style = row.kind === "typed" || row.event === "prints" ? row.kind === "typed" ? "typed" : "print" : "line";
  const note = row.kind === "end" || row.kind === "inside"
    ? filled(word(row.kind), { who: scene.of[row.process].name, call: row.event.split(" ")[1] }) : "";
  const text = note ? `<p class="aside">${note}</p>` : shown && `<pre class="${style} c${row.terminal + 1}">${place}${shown}</pre>`;
  const wire = row.kind === "segment" ? arrow(scene, row.ends, row) : handed(scene, row);
  return `<tr id="${scene.id}/${row.name}"><th scope="row">${index + 1}</th><td class="t1">${row.terminal === 0 ? text : ""}</td>`
    + `<td class="w">${wire}</td><td class="t2">${row.terminal > 0 ? text : ""}</td>`
    + `<td class="says">${happened(scene, row, index ? rows[index - 1].state : 0, rows[index + 1])}</td></tr>\n`;
}

function section(scene, index) {
  scene.hasThird = scene.rows.some(row => row.terminal === 2);
  const others = [2, 3].filter(place => place === 2 || scene.hasThird)
    .map(place => `<span class="c${place}">${scene.hasThird ? circled(place - 1) + " " : ""}${word(`terminal ${place}`)}</span>`).join(" · ");
  const heads = [["n", ""], ["", `<span class="c1">${word("terminal 1")}</span>`],
    ["w", word(/tcp|udp/.test(scene.id) ? "wire" : "handed")], ["", others], ["says", word("happens")]];
  return `<section id="${scene.id}">
<h2>${index + 1}. ${word("title", scene.id)}</h2>
<p>${word("question", scene.id)} <a href="${word("link", scene.id)}">${word("read")}</a></p>
<div class="scroll"><table class="rows"><thead><tr>${heads.map(([style, text]) => `<th scope="col" class="${style}">${text}</th>`).join("")}</tr></thead><tbody>
${scene.rows.map((...row) => tableRow(scene, ...row)).join("")}</tbody></table></div>
</section>
`;
}

/* What the other script needs of it. */
function shortened(scenes) {
  const names = { socket: word("unconnected"), "socket file": word("socket file") };
  const held = rows => rows.map(([identity, state, local, ...rest]) =>
    [identity, names[state] || state, local.replace("(deleted)", word("removed")), ...rest]);
  return { sources: Object.assign({}, ...scenes.map(scene => scene.sources)),
    words: Object.fromEntries(Object.keys(recorded.words.words).map(key => [key, word(key)])),
    scenes: scenes.map(scene => ({
      id: scene.id, title: word("title", scene.id), question: word("question", scene.id),
      begin: recorded.words[scene.id].begin, link: word("link", scene.id),
      processes: scene.processes.map(([pid, , terminal, source]) => [pid, scene.of[pid].name, terminal, source]),
      /* What the system holds is null if it is as before. */
      rows: scene.rows.map((row, index) => [row.kind, row.process, index && row.state === scene.rows[index - 1].state
        ? null : held(scene.states[row.state]), row.status, row.terminal, row.name, ...(row.isStale ? [1] : [])]) })) };
}

/* The picture: the rows of a scene between two names. */
function picture(scene, first, last) {
  const place = name => scene.rows.findIndex(row => row.name === name);
  const lines = scene.rows.slice(place(first), place(last) + 1).map((row, index) => {
    const y = 60 + 20 * index;
    const [start, end] = row.ends && scene.of[row.ends[0]].terminal === 0 ? [392, 528] : [528, 392];
    if (row.ends)
      return `<path d="M${start} ${y}H${end}"></path><text x="460" y="${y - 4}">${row.label} ${row.size || ""}</text>`;
    const text = escaped(row.text.trim()).replace(/^\w+?(\[\d+\])?: /, "$1 ");
    return `<text x="${row.terminal ? 550 : 10}" y="${y}" class="c${row.terminal + 1}">${text}</text>`;
  });
  const element = document.getElementById("picture").content.firstElementChild;
  element.setAttribute("viewBox", `0 0 930 ${60 + 20 * lines.length}`);
  element.insertAdjacentHTML("beforeend", lines.join("\n") + "\n");
  return element.outerHTML + "\n";
}

try {
  const scenes = Object.entries(recorded.scenes).map(([id, scene]) => ({ id, of: {}, ...scene }));
  scenes.forEach(prepare);
  for (const scene of scenes) scene.rows.forEach((...row) => addContext(scene, ...row));
  document.documentElement.lang = ["en", "zh"][recorded.language];
  for (const element of document.querySelectorAll("[data-word]")) element.textContent = word(element.dataset.word);
  for (const element of document.querySelectorAll("[data-label]")) {
    element.setAttribute("aria-label", word(element.dataset.label));
    element.title = word(element.dataset.label);
  }
  document.querySelector("dl").innerHTML = Object.keys(recorded.words.legend).map(key =>
    `<dt>${key}</dt><dd>${marked(word(key, "legend"))}</dd>\n`).join("");
  document.getElementById("scenes").innerHTML = scenes.map(section).join("");
  if (recorded.part) document.getElementById("scenes").innerHTML = picture(scenes[0], "client.connect-waits", "client.prints");
  const unused = Object.keys(recorded.words.sentences).filter(rule => !used.has(rule));
  if (unused.length) throw Error(`no scene needs the sentence for: ${unused.join("; ")}`);
  const script = document.createElement("script");
  /* A line for each line of a source, and for each row: record.py compares lines. */
  const { sources, ...others } = shortened(scenes);
  script.textContent = `const data = {"sources":${JSON.stringify(sources).replace(/","/g, '",\n"')},${
    JSON.stringify(others).slice(1).replace(/(?=\["(typed|line|segment|end|inside)",)/g, "\n")};\n`.replace(/<\//g, "<\\/");
  document.currentScript.replaceWith(script);
  document.getElementById("picture").remove();
} catch (error) {
  document.body.prepend(String(error));
}
