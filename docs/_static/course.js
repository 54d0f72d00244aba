// A formula that is wider than the screen scrolls in a box of its own: let the keyboard reach it.
function reachable() {
  for (const formula of document.querySelectorAll('mjx-container[display="true"]')) {
    formula.tabIndex = formula.scrollWidth > formula.clientWidth ? 0 : -1;
  }
}

addEventListener("load", () => {
  window.MathJax?.startup.promise.then(reachable);
  addEventListener("resize", reachable);
});
