"use strict";
(() => {
  const page = JSON.parse(document.getElementById("page-data").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const narrow = matchMedia("(max-width: 760px)");
  const config = {
    displaylogo: false,
    responsive: true,
    modeBarButtons: [["toImage", "resetScale2d"]],
  };
  const PRINT_WIDTH = 680;
  let printing = false;

  function colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  }

  function themedAxis(axis) {
    const lines = { gridcolor: colour("grid"), linecolor: colour("line"), zeroline: false, automargin: true };
    return { ...lines, ...axis, title: { standoff: 8, ...axis.title } };
  }

  function themedTrace(trace) {
    if (trace.type === "heatmap") {
      const scale = [[0, colour("map-low")], [0.5, colour("map-middle")], [1, colour("map-high")]];
      return { ...trace, colorscale: scale };
    }
    const own = trace.meta.colours[dark.matches && !printing ? 1 : 0];
    const filled = trace.meta.fill ? { fillcolor: own } : {};
    const line = { ...trace.line, color: trace.meta.fill ? colour("page") : own };
    return { ...trace, ...filled, line, marker: { color: own } };
  }

  // Written by Plotly itself the values would be grey on blue in the middle of the scale.
  function valuesOn(map) {
    const turn = Number(colour("map-turn"));
    const [low, high] = [colour("map-ink-low"), colour("map-ink-high")];
    const places = map.z
      .flatMap((row, down) => row.map((value, across) => ({ x: map.x[across], y: map.y[down], value })))
      .filter((place) => place.value !== null);
    return {
      type: "scatter",
      mode: "text",
      hoverinfo: "skip",
      showlegend: false,
      x: places.map((place) => place.x),
      y: places.map((place) => place.y),
      text: places.map((place) => place.value.toFixed(2)),
      textfont: { size: 10, color: places.map((place) => (place.value < turn ? low : high)) },
    };
  }

  function themedTraces(figure) {
    const values = figure.has_values ? [valuesOn(figure.data[0])] : [];
    return [...figure.data.map(themedTrace), ...values];
  }

  function outlines(figure) {
    return (figure.chosen || []).map(([row, column]) => ({
      type: "rect",
      x0: column - 0.5,
      x1: column + 0.5,
      y0: row - 0.5,
      y1: row + 0.5,
      line: { color: colour("outline"), width: 2 },
    }));
  }

  function themedLayout(figure) {
    const layout = figure.layout;
    const levels = (layout.shapes || []).map((shape) => ({ ...shape, line: { ...shape.line, color: colour("quiet") } }));
    return {
      ...layout,
      width: printing ? PRINT_WIDTH : undefined,
      autosize: !printing,
      // Figures keep what the reader hid or zoomed when only the colours change.
      uirevision: "kept",
      dragmode: narrow.matches ? false : "zoom",
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: colour("ink") },
      hoverlabel: { bgcolor: colour("surface"), bordercolor: colour("line"), font: { color: colour("ink") } },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: colour("quiet"), activecolor: colour("accent") },
      xaxis: themedAxis(layout.xaxis),
      yaxis: themedAxis(layout.yaxis),
      shapes: [...levels, ...outlines(figure)],
    };
  }

  function draw(name) {
    const figure = page.figures[name];
    const isMap = figure.data[0].type === "heatmap";
    const options = isMap ? { ...config, displayModeBar: false } : config;
    return Plotly.react(name, themedTraces(figure), themedLayout(figure), options);
  }

  const names = [...document.querySelectorAll(".plot")].map((plot) => plot.id);

  async function drawAll() {
    for (const name of names) {
      await draw(name);
      // The page stays responsive: what the reader does comes before the next figure.
      await new Promise((resolve) => setTimeout(resolve));
    }
    document.body.dataset.drawn = "true";
  }

  function redraw() {
    return Promise.all(names.map(draw));
  }

  function makePlayer(replay) {
    const slider = document.getElementById("epoch");
    const button = document.getElementById("play");
    const output = document.getElementById("epoch-name");
    const stage = document.getElementById("stage");
    const last = replay.epochs.length - 1;
    const pause = Math.min(600, Math.max(120, 12000 / (last + 1)));
    let timer = null;

    function writeNotes(cells, notes) {
      cells.querySelectorAll("g[role=img]").forEach((operation, index) => {
        const title = operation.querySelector("title");
        title.textContent = `${title.textContent.split(": ")[0]}: ${notes[index]}`;
        operation.setAttribute("aria-label", title.textContent);
        operation.querySelector("text:last-child").textContent = notes[index];
      });
      return cells;
    }

    function stageContent(index) {
      const drawing = replay.drawings[index];
      if (drawing !== null) {
        const cells = document.getElementById(`drawing-${drawing}`).content.cloneNode(true);
        return writeNotes(cells, replay.notes[index]);
      }
      const reason = document.createElement("p");
      reason.className = "absent";
      reason.textContent = replay.absences[index];
      return reason;
    }

    function show() {
      const index = Number(slider.value);
      const words = `epoch ${replay.epochs[index]}`;
      output.textContent = words;
      slider.setAttribute("aria-valuetext", `${words} of ${replay.epochs[last]}`);
      stage.replaceChildren(stageContent(index));
      for (const name of Object.keys(replay.tables)) {
        const figure = page.figures[name];
        figure.data[0].z = replay.tables[name][index];
        figure.chosen = replay.chosen[name][index];
        draw(name);
      }
    }

    function stop() {
      clearInterval(timer);
      timer = null;
      button.classList.remove("playing");
      button.setAttribute("aria-label", "Play");
    }

    function advance() {
      slider.value = Number(slider.value) + 1;
      show();
      if (Number(slider.value) === last) {
        stop();
      }
    }

    function play() {
      if (Number(slider.value) === last) {
        slider.value = 0;
        show();
      }
      timer = setInterval(advance, pause);
      button.classList.add("playing");
      button.setAttribute("aria-label", "Pause");
    }

    slider.addEventListener("input", () => {
      stop();
      show();
    });
    button.addEventListener("click", () => (timer === null ? play() : stop()));
    return { atRest: () => timer === null && Number(slider.value) === last };
  }

  function reloadEvery(seconds, player) {
    setInterval(() => {
      // A reader who looks at an earlier epoch is not thrown back to the last one.
      if (player === null || player.atRest()) {
        location.reload();
      }
    }, 1000 * seconds);
  }

  async function print(on) {
    printing = on;
    await redraw();
  }

  dark.addEventListener("change", redraw);
  narrow.addEventListener("change", redraw);
  addEventListener("beforeprint", () => print(true));
  addEventListener("afterprint", () => print(false));
  const player = page.replay && page.replay.epochs.length ? makePlayer(page.replay) : null;
  drawAll().then(() => {
    if (document.body.dataset.reloadSeconds) {
      reloadEvery(Number(document.body.dataset.reloadSeconds), player);
    }
  });
})();
