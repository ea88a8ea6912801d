/* Follows the console: fetches its parts every few seconds, not while the page is hidden or held, and says when what is
   shown is old. */
"use strict";

(function () {
    const config = JSON.parse(document.getElementById("console-config").textContent);
    const status = document.getElementById("console-status");
    const hold = document.getElementById("console-hold");
    const minutes = document.getElementById("console-minutes");
    const OLD = 15000;
    let seen = Date.now();
    let timer = null;
    let asking = null;
    let held = false;

    function say(text, isStale) {
        if (status.textContent !== text) status.textContent = text;
        status.classList.toggle("console-is-stale", Boolean(isStale));
    }

    function clock(time) {
        return window.consoleCharts.clock(time / 1000, true);
    }

    // What has the keyboard's focus keeps it, and what was scrolled stays where it was.
    function replace(part, html) {
        if (part.dataset.html === html) return;
        part.dataset.html = html;
        const focused = part.contains(document.activeElement) ? document.activeElement.id : "";
        const scrolled = Array.from(part.querySelectorAll(".console-scroll"), (each) => [each.scrollLeft, each === document.activeElement]);
        part.innerHTML = html;
        part.querySelectorAll(".console-scroll").forEach((each, index) => {
            const [left, hadFocus] = scrolled[index] || [0, false];
            each.scrollLeft = left;
            if (hadFocus) each.focus({ preventScroll: true });
        });
        const again = focused && document.getElementById(focused);
        if (again) again.focus({ preventScroll: true });
    }

    async function look() {
        clearTimeout(timer);
        if (asking) asking.abort();
        asking = new AbortController();
        const limit = setTimeout(() => asking.abort(), 10000);
        try {
            const url = config.url + "?minutes=" + encodeURIComponent(minutes.value);
            const answer = await fetch(url, { signal: asking.signal, headers: { Accept: "application/json" }, redirect: "error" });
            if (!answer.ok) throw new Error("status " + answer.status);
            const told = await answer.json();
            for (const part of document.querySelectorAll("[data-part]")) replace(part, told.parts[part.dataset.part]);
            window.consoleCharts.draw(told.series);
            seen = Date.now();
            say("Live: as of " + clock(seen));
        } catch (error) {
            failed(error);
        } finally {
            clearTimeout(limit);
            schedule();
        }
    }

    function failed(error) {
        if (error.name === "AbortError" && Date.now() - seen < OLD) return;
        const why = error instanceof TypeError ? "the server does not answer, or you were signed out" : error.message;
        say("Stale: what is shown is of " + clock(seen) + " (" + why + "). Trying on.", true);
    }

    function schedule() {
        clearTimeout(timer);
        if (!held && !document.hidden) timer = setTimeout(look, config.every);
    }

    hold.hidden = false;
    hold.addEventListener("click", () => {
        held = !held;
        hold.setAttribute("aria-pressed", String(held));
        if (held) {
            clearTimeout(timer);
            say("Held: as of " + clock(seen) + ". What is shown does not change.");
        } else {
            look();
        }
    });
    minutes.addEventListener("change", look);
    document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : held || look()));
    look();
})();
