// Airflow shows this panel in a sandboxed frame that may not move the page around it. A link to one of Airflow's own
// pages would open a second Airflow inside the first; following it in the outer page is what a person expects.
"use strict";

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
