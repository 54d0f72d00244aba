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

// A moving picture can be stopped, and stands still from the start for whoever asked for less motion.
function stoppable(picture) {
  const still = document.createElement("canvas"); // shows its first frame
  still.width = picture.naturalWidth;
  still.height = picture.naturalHeight;
  still.getContext("2d").drawImage(picture, 0, 0);
  still.setAttribute("role", "img");
  still.setAttribute("aria-label", picture.alt);
  const button = document.createElement("button");
  button.className = "stop";
  button.textContent = "Pause";
  button.onclick = () => {
    const moves = picture.isConnected;
    if (moves) picture.replaceWith(still);
    else still.replaceWith(picture);
    button.textContent = moves ? "Play" : "Pause";
  };
  picture.after(button);
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) button.click();
}

addEventListener("load", () => document.querySelectorAll('img[src$=".gif"]').forEach(stoppable));
