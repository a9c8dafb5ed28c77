/* replay_checks.js - what test_replay.py asks of a page. */

/* Whether nothing of an element is cut off; and whether the step is in sight. */
const isWhole = one => one.scrollHeight <= one.clientHeight + 1 && one.scrollWidth <= one.clientWidth + 1;
const isSeen = () => {
  const [row, pane] = ['.shown .now', '.shown .scroll'].map(one => document.querySelector(one).getBoundingClientRect());
  return row.top >= pane.top && row.bottom <= pane.bottom + 1;
};

/* What is shown at a step. An arrow is seen by where its head is. */
const shown = () => {
  const all = (what, get, from = document) => [...from.querySelectorAll(what)].map(get);
  const text = one => one.textContent;
  return {
    rows: all('.shown tbody tr:not([hidden])', row => all('td:not(.says)', text, row)),
    now: all('.shown .now[aria-current=step] th', text), place: location.hash,
    arrows: all('.shown .now .arrow', one => [text(one), parseFloat(getComputedStyle(one, '::after').right) < parseFloat(getComputedStyle(one, '::after').left)]),
    code: all('.proc', one => [one.dataset.pid, text(one.querySelector('h3')), ...all('.here', text, one)])
      .sort(([one], [other]) => one - other).map(([, ...rest]) => rest),
    kernel: all('#kernel tbody tr:not(.gone)', text), caption: text(document.querySelector('[role=status][aria-live=polite]')),
    fits: Math.max(...all('#kernel, #code', one => one.getBoundingClientRect().bottom)) <= innerHeight
      && all('#caption, #kernel, .proc, .shown .now pre, #kernel td', isWhole).every(Boolean) && isSeen() };
};

/* The texts that are hard to read: less than 4.5 to 1 against what is behind them (WCAG 2.1). */
const pale = () => {
  const parts = color => color.match(/[\d.]+/g).map(Number);
  const light = color => parts(color).slice(0, 3).map(one => one / 255)
    .map(one => one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4)
    .reduce((sum, one, place) => sum + one * [0.2126, 0.7152, 0.0722][place], 0.05);
  const behind = one => parts(getComputedStyle(one).backgroundColor)[3] === 0
    ? behind(one.parentElement) : getComputedStyle(one).backgroundColor;
  const contrast = (one, other) => Math.max(one / other, other / one);
  return [...document.querySelectorAll('body *')].filter(one => one.offsetParent && one.innerText
    && contrast(light(getComputedStyle(one).color), light(behind(one))) < 4.5).map(one => one.outerHTML);
};

/* How many steps are shown in a scene; and in the whole page. */
const step = () => document.querySelectorAll('.shown tr:not([hidden]) th[scope=row]').length;
const steps = () => [...document.querySelectorAll('tbody tr')].filter(one => one.offsetHeight).length;
