// Everything here is a convenience: the page says all it has to say without it.
"use strict";
(function () {
  var records = {};
  function record(id) {
    if (!(id in records)) {
      var e = document.getElementById(id);
      records[id] = e ? JSON.parse(e.textContent) : null;
    }
    return records[id];
  }
  function idOf(e) {
    var owner = e.closest("[data-record]");
    return owner ? owner.getAttribute("data-record") : "";
  }
  // A path that begins with a point continues that of the element around it.
  function pathOf(e) {
    var path = e.getAttribute("data-path");
    if (path.charAt(0) !== ".") return path;
    var outer = e.parentElement.closest("[data-path]");
    return outer ? pathOf(outer) + path : path;
  }
  function value(root, path) {
    var part = /^(?:\.?([^.[\]]+)|\[(\d+)\]|\[("(?:[^"\\]|\\.)*")\])/, m;
    var at = root;
    while (path !== "") {
      m = part.exec(path);
      if (!m || at === null || typeof at !== "object") return undefined;
      at = at[m[1] !== undefined ? m[1] : m[2] !== undefined ? Number(m[2]) : JSON.parse(m[3])];
      path = path.slice(m[0].length);
    }
    return at;
  }

  // The line at the foot names the field of what the pointer or the focus is on.
  var foot = document.getElementById("field");
  function tell(e) {
    var at = e.target.closest ? e.target.closest("[data-path]") : null;
    if (!at) { foot.hidden = true; return; }
    var path = pathOf(at), v = value(record(idOf(at)), path);
    foot.textContent = v === undefined || v !== null && typeof v === "object" ? path : path + " = " + JSON.stringify(v);
    foot.hidden = false;
  }
  document.addEventListener("pointerover", tell);
  document.addEventListener("pointerdown", tell);
  document.addEventListener("focusin", tell);

  // Single values of the curves.
  document.querySelectorAll("svg[data-readout]").forEach(function (svg) {
    var scale = svg.getAttribute("data-horizontal").split(" "), low = Number(scale[1]), high = Number(scale[2]);
    var fields = svg.getAttribute("data-readout").split(" "), out = svg.closest("figure").querySelector(".readout");
    var line = document.createElementNS("http://www.w3.org/2000/svg", "line"), step = -1;
    line.setAttribute("class", "cursor");
    line.setAttribute("y1", "0");
    line.setAttribute("y2", "100%");
    function show(n) {
      step = Math.max(low, Math.min(high, Math.round(n)));
      var x = 100 * (step - low) / (high - low) + "%";
      line.setAttribute("x1", x);
      line.setAttribute("x2", x);
      svg.appendChild(line);
      out.textContent = "step " + step + fields.map(function (f) {
        var list = value(record(idOf(svg)), f), v = list ? list[step] : undefined;
        var name = f.slice(f.lastIndexOf(".") + 1);
        return v === undefined ? "" : ",  " + name + " " + (typeof v === "number" ? Number(v.toPrecision(6)) : v);
      }).join("");
    }
    function hide() { line.remove(); out.textContent = ""; step = -1; }
    svg.addEventListener("pointermove", function (e) {
      var box = svg.getBoundingClientRect();
      show(low + (high - low) * (e.clientX - box.left) / box.width);
    });
    svg.addEventListener("pointerleave", hide);
    svg.addEventListener("blur", hide);
    svg.addEventListener("keydown", function (e) {
      var by = { ArrowLeft: -1, ArrowRight: 1, PageUp: -50, PageDown: 50 }[e.key];
      if (by === undefined) return;
      e.preventDefault();
      show(step === -1 ? low : step + by);
    });
  });

  // The maps of rho: arrow keys go from cell to cell.
  document.querySelectorAll(".heat svg").forEach(function (svg) {
    var rows = Array.from(svg.querySelectorAll("g.row")).map(function (g) { return Array.from(g.querySelectorAll("rect")); });
    var out = svg.closest(".heats").nextElementSibling, y = 0, x = 0, at = null;
    function go(cell) {
      if (at) at.classList.remove("at");
      at = cell;
      if (!cell) { out.textContent = ""; return; }
      cell.classList.add("at");
      out.textContent = cell.querySelector("title").textContent;
      tell({ target: cell });
    }
    svg.addEventListener("focus", function () { if (rows.length) go(rows[y][Math.min(x, rows[y].length - 1)]); });
    svg.addEventListener("blur", function () { go(null); });
    svg.addEventListener("pointerover", function (e) {
      var cell = e.target.closest("rect");
      if (cell) out.textContent = cell.querySelector("title").textContent;
    });
    // The numbers of a cell's tensor at its step stand in a table that is closed until it is asked for.
    function open(cell) {
      var row = pathOf(cell).replace(/\.rho$/, ""), found = null;
      svg.closest("article").querySelectorAll("details tr[data-path]").forEach(function (tr) { if (tr.getAttribute("data-path") === row) found = tr; });
      if (!found) return;
      for (var d = found.closest("details"); d; d = d.parentElement.closest("details")) d.open = true;
      document.querySelectorAll("tr.found").forEach(function (tr) { tr.classList.remove("found"); });
      found.classList.add("found");
      found.scrollIntoView({ block: "center" });
    }
    svg.addEventListener("click", function (e) {
      var cell = e.target.closest("g.row rect");
      if (cell) open(cell);
    });
    svg.addEventListener("keydown", function (e) {
      if (e.key === "Enter" && at) { open(at); return; }
      var by = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[e.key];
      if (!by) return;
      e.preventDefault();
      y = Math.max(0, Math.min(rows.length - 1, y + by[0]));
      x = Math.max(0, Math.min(rows[y].length - 1, x + by[1]));
      go(rows[y][x]);
    });
  });

  // The record as a file of its own.
  document.querySelectorAll("[data-save]").forEach(function (button) {
    button.hidden = false;
    button.addEventListener("click", function () {
      var a = document.createElement("a");
      a.href = URL.createObjectURL(new Blob([JSON.stringify(record(button.getAttribute("data-save")), null, 2) + "\n"], { type: "application/json" }));
      a.download = "result.json";
      a.click();
      setTimeout(function () { URL.revokeObjectURL(a.href); }, 1000);
    });
  });
  document.documentElement.setAttribute("data-ready", "yes");
})();
