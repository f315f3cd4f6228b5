// Shows the copy and print buttons of a share page; without it the link can be
// selected and printed by hand.
(function () {
  var link = document.getElementById("link");
  var copy = document.getElementById("copy");
  var print = document.getElementById("print");
  var said = document.getElementById("copied");
  if (print) {
    print.hidden = false;
    print.addEventListener("click", function () { window.print(); });
  }
  if (!link || !copy) { return; }
  copy.hidden = false;
  link.addEventListener("focus", function () { link.select(); });
  copy.addEventListener("click", function () {
    link.select();
    var done = function () { said.textContent = "The link is copied."; };
    var hint = function () { said.textContent = "Press Ctrl+C or \u2318C to copy."; };
    if (navigator.clipboard) {
      navigator.clipboard.writeText(link.value).then(done, hint);
    } else if (document.execCommand("copy")) {
      done();
    } else {
      hint();
    }
  });
})();
