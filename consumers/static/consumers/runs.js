/* A retry run's page, kept up to date. Without this file, "Refresh" does. Nothing is asked while the page is hidden. */
"use strict";

(function () {
    const run = document.getElementById("mending-run");
    if (!run) {
        return;
    }
    const PAUSE = 2000;
    const LONGEST = 30000;
    let wait = PAUSE;
    let timer = null;

    const part = (name) => document.querySelector(`[data-run="${name}"]`);

    function say(name, value) {
        const element = part(name);
        const text = typeof value === "number" ? value.toLocaleString("en") : value;
        if (element && element.textContent !== text) {
            element.textContent = text;
        }
    }

    function showState(live) {
        const state = part("state");
        state.className = `mending-state mending-${live.state}`;
        say("state", live.state);
        part("text").classList.toggle("mending-nobody", live.nobody);
        say("text", live.text);
        const mayOrder = !part("lacking");
        document.querySelectorAll("[data-run=orders] button").forEach((button) => {
            button.disabled = !mayOrder || !button.dataset.for.split(" ").includes(live.state);
        });
    }

    function showSteps(steps) {
        const shown = part("steps").children;
        steps.forEach((step, at) => {
            const item = shown[at];
            if (!item || item.dataset.place === step.place) {
                return;
            }
            item.dataset.place = step.place;
            item.querySelector(".mending-place").textContent = ` (${step.place})`;
            if (step.place === "current") {
                item.setAttribute("aria-current", "step");
            } else {
                item.removeAttribute("aria-current");
            }
        });
    }

    function showReasons(reasons) {
        const table = part("reasons");
        const rows = reasons.map(([reason, count]) => {
            const row = document.createElement("tr");
            const name = row.insertCell();
            name.textContent = reason;
            const number = row.insertCell();
            number.textContent = count.toLocaleString("en");
            number.className = "failures-number";
            return row;
        });
        table.tBodies[0].replaceChildren(...rows);
        table.hidden = rows.length === 0;
    }

    function show(live) {
        showState(live);
        showSteps(live.steps);
        showReasons(live.by_reason);
        part("bar").value = live.per_cent;
        for (const name of ["per_cent", "succeeded", "failed_again", "left", "left_alone", "total", "heartbeat"]) {
            say(name, live[name]);
        }
        say("about", live.exact ? "" : "about ");
        say("worker", live.worker || "-");
        run.dataset.state = live.state;
    }

    async function look() {
        try {
            const answer = await fetch(run.dataset.live, {
                headers: { Accept: "application/json" },
                credentials: "same-origin",
                redirect: "error",
            });
            if (!answer.ok) {
                throw new Error(String(answer.status));
            }
            const live = await answer.json();
            show(live);
            wait = PAUSE;
            if (live.ended) {
                return;
            }
        } catch (error) {
            say("text", "This page could not be brought up to date; it tries again.");
            wait = Math.min(LONGEST, wait * 2);
        }
        plan();
    }

    function plan() {
        window.clearTimeout(timer);
        timer = document.hidden ? null : window.setTimeout(look, wait);
    }

    document.addEventListener("visibilitychange", () => {
        if (document.hidden) {
            window.clearTimeout(timer);
        } else {
            look();
        }
    });
    plan();
})();
