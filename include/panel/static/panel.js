// Two conveniences; every page works without them.
"use strict";

// A wide drawing starts at its left end; what was asked for is in the middle of it.
const centre = document.querySelector(".canvas .node.centre");
const canvas = centre?.closest(".canvas");
if (canvas) {
  const [box, frame] = [centre.getBoundingClientRect(), canvas.getBoundingClientRect()];
  canvas.scrollLeft += box.left + box.width / 2 - frame.left - frame.width / 2;
  canvas.scrollTop += box.top + box.height / 2 - frame.top - frame.height / 2;
}

// Airflow shows this panel in a sandboxed frame that may not move the page around it. A link to one of Airflow's own
// pages would open a second Airflow inside the first; following it in the outer page is what a person expects.
document.addEventListener("click", (event) => {
  const link = event.target instanceof Element ? event.target.closest("a[data-airflow]") : null;
  const plain = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey;
  if (!link || !plain || window.parent === window) return;
  let outer;
  try {
    outer = window.parent.document;
  } catch {
    return; // framed by somebody else's page: leave the link as it is
  }
  const same = outer.createElement("a");
  same.href = link.href;
  outer.body.append(same);
  same.click();
  same.remove();
  event.preventDefault();
});
