// Three conveniences inside Airflow's frame; every page works without them.
"use strict";

function outerDocument() {
  if (window.parent === window) return null;
  try {
    return window.parent.document;
  } catch {
    return null; // framed by a page of another host: there is nothing of it to see
  }
}

// Airflow has its own switch between light and dark; a panel of the other kind inside it would hurt the eyes.
const outerClasses = outerDocument()?.documentElement.classList;
for (const theme of ["light", "dark"]) {
  if (outerClasses?.contains(theme)) document.documentElement.dataset.theme = theme;
}

// A wide drawing starts at its left end; what was asked for is in the middle of it.
document.addEventListener("DOMContentLoaded", () => {
  const centre = document.querySelector(".canvas .node.centre");
  const canvas = centre?.closest(".canvas");
  if (!canvas) return;
  const [box, frame] = [centre.getBoundingClientRect(), canvas.getBoundingClientRect()];
  canvas.scrollLeft += box.left + box.width / 2 - frame.left - frame.width / 2;
  canvas.scrollTop += box.top + box.height / 2 - frame.top - frame.height / 2;
});

// Airflow's frame may not move the page around it. A link to one of Airflow's own pages would open a second Airflow
// inside the first; following it in the outer page is what a person expects. A PDF is not shown in such a frame at all.
document.addEventListener("click", (event) => {
  const link = event.target instanceof Element ? event.target.closest("a[data-airflow]") : null;
  const plain = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey;
  const outer = outerDocument();
  if (!link || !plain || !outer) return;
  const same = outer.createElement("a");
  same.href = link.href;
  outer.body.append(same);
  same.click();
  same.remove();
  event.preventDefault();
});
