/* The console's charts, drawn by uPlot. `window.consoleCharts.draw(series)` puts in what the server has told. */
"use strict";

window.consoleCharts = (function () {
    // By outcome: each has a colour and a dash of its own, so that neither is needed alone.
    const OUTCOMES = { written: [3, []], duplicates: [0, [8, 4]], skipped: [5, [2, 3]], failed: [4, [4, 2]] };
    const DASHES = [[], [8, 4], [2, 3], [10, 3, 2, 3]];
    const charts = new Map();
    const zone = { timeZone: JSON.parse(document.getElementById("console-config").textContent).zone };

    function colour(name) {
        return getComputedStyle(document.documentElement).getPropertyValue(name).trim() || "#888";
    }

    function line(name, number) {
        const [tone, dash] = OUTCOMES[name] || [number % 6, DASHES[number % DASHES.length]];
        return {
            label: name,
            stroke: colour("--console-" + tone),
            dash: dash,
            width: 2,
            points: { show: false },
            value: (_, value) => (value === null || value === undefined ? "–" : number_text(value)),
        };
    }

    function number_text(value) {
        const digits = Math.abs(value) < 1 ? 2 : Math.abs(value) < 10 ? 1 : 0;
        return value.toLocaleString("en", { maximumFractionDigits: digits });
    }

    // In the site's time zone, as all other times on the page.
    function clock(time, withSeconds) {
        const shape = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
        if (withSeconds) shape.second = "2-digit";
        return new Date(time * 1000).toLocaleTimeString("en-GB", Object.assign(shape, zone));
    }

    function axis(size) {
        const faint = colour("--hairline-color");
        return { stroke: colour("--body-quiet-color"), grid: { stroke: faint, width: 1 }, ticks: { stroke: faint }, size: size };
    }

    // Where a worker began, a thin upright line, with its version where that is known.
    function marks(chart) {
        const context = chart.ctx;
        context.save();
        context.strokeStyle = context.fillStyle = colour("--body-quiet-color");
        context.setLineDash([3, 3]);
        for (const mark of chart.consoleMarks || []) {
            const x = Math.round(chart.valToPos(mark.at, "x", true));
            if (x < chart.bbox.left || x > chart.bbox.left + chart.bbox.width) continue;
            context.beginPath();
            context.moveTo(x, chart.bbox.top);
            context.lineTo(x, chart.bbox.top + chart.bbox.height);
            context.stroke();
            if (mark.version) context.fillText(mark.version.slice(0, 12), x + 4, chart.bbox.top + 12);
        }
        context.restore();
    }

    function drop(figure) {
        if (charts.has(figure)) charts.get(figure).chart.destroy();
        charts.delete(figure);
    }

    function made(figure, names, data, series) {
        drop(figure);
        const place = figure.querySelector(".console-plot");
        const chart = new uPlot(
            {
                width: Math.max(200, place.clientWidth),
                height: 180,
                series: [{ label: "Time", value: (_, time) => (time === null ? "–" : clock(time, true)) }].concat(names.map(line)),
                axes: [Object.assign(axis(32), { values: (_, ticks) => ticks.map((time) => clock(time, false)) }), Object.assign(axis(60), { values: (_, ticks) => ticks.map(number_text) })],
                scales: { y: { range: (_, low, high) => [0, high > 0 ? high * 1.1 : 1] } },
                hooks: { draw: [marks] },
            },
            data,
            place,
        );
        chart.consoleMarks = series.marks;
        chart.redraw(false);
        charts.set(figure, { chart: chart, names: names.join("\n") });
    }

    function latest(name, column) {
        const known = column.filter((value) => value !== null);
        return name + " " + (known.length ? number_text(known[known.length - 1]) : "unknown");
    }

    function draw(series) {
        const sections = document.getElementById("console-charts");
        sections.hidden = series.at.length < 2;
        if (sections.hidden) return;
        for (const figure of document.querySelectorAll(".console-chart")) {
            const lines = series[figure.dataset.chart];
            const names = Object.keys(lines);
            const data = [series.at].concat(names.map((name) => lines[name]));
            const known = charts.get(figure);
            if (known && known.names === names.join("\n")) {
                known.chart.consoleMarks = series.marks;
                known.chart.setData(data);
            } else {
                made(figure, names, data, series);
            }
            const told = names.map((name) => latest(name, lines[name])).join(", ");
            const title = figure.querySelector("figcaption").textContent;
            figure.querySelector(".console-plot").setAttribute("aria-label", title + ". Latest: " + (told || "nothing"));
        }
    }

    // In another theme, or another width, all of them are made anew.
    function again() {
        Array.from(charts.keys()).forEach(drop);
        if (window.consoleCharts.last) draw(window.consoleCharts.last);
    }

    function fit() {
        for (const [figure, { chart }] of charts) {
            chart.setSize({ width: Math.max(200, figure.querySelector(".console-plot").clientWidth), height: 180 });
        }
    }

    new MutationObserver(again).observe(document.documentElement, { attributeFilter: ["data-theme"] });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
    window.addEventListener("resize", fit);

    return {
        clock: clock,
        last: null,
        draw: function (series) {
            this.last = series;
            draw(series);
        },
    };
})();
