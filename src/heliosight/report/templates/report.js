"use strict";
(() => {
  const explained = [...document.querySelectorAll(".explained")];
  if (!explained.length) return;
  const slider = document.getElementById("frame");
  const picker = document.getElementById("method");
  const play = document.getElementById("play");
  let timer = null;

  // Every explanation follows the slider, so that a change of method keeps the moment.
  function showFrame(wanted) {
    for (const article of explained) {
      const count = Number(article.style.getPropertyValue("--n"));
      if (!count) continue;
      const frame = Math.max(0, Math.min(wanted, count - 1));
      article.style.setProperty("--frame", frame);
      for (const item of article.querySelectorAll(".stamp-at")) {
        item.hidden = Number(item.dataset.frame) !== frame;
      }
      for (const button of article.querySelectorAll(".filmstrip button")) {
        const here = Number(button.dataset.frame) === frame;
        button.classList.toggle("here", here);
        button.setAttribute("aria-pressed", String(here));
      }
      for (const chart of article.querySelectorAll("svg[data-marks]")) moveMarker(chart, frame);
    }
    const label = visible().querySelector(".stamp-at:not([hidden])");
    if (slider) {
      slider.value = wanted;
      slider.setAttribute("aria-valuetext", label ? label.textContent : String(wanted));
    }
  }

  function moveMarker(chart, frame) {
    const place = chart.dataset.marks.split(",")[frame];
    const marker = chart.querySelector(".marker");
    if (!marker || place === undefined || place === "") return;
    marker.setAttribute("x1", place);
    marker.setAttribute("x2", place);
  }

  function visible() {
    return explained.find((article) => !article.hidden) || explained[0];
  }

  function showMethod(index) {
    explained.forEach((article, place) => { article.hidden = place !== index; });
    showFrame(slider ? Number(slider.value) : 0);
  }

  function stop() {
    clearInterval(timer);
    timer = null;
    play.setAttribute("aria-pressed", "false");
    play.textContent = play.dataset.play;
  }

  function start() {
    timer = setInterval(() => {
      showFrame((Number(slider.value) + 1) % (Number(slider.max) + 1));
    }, 350);
    play.setAttribute("aria-pressed", "true");
    play.textContent = play.dataset.pause;
  }

  if (slider) slider.addEventListener("input", () => showFrame(Number(slider.value)));
  if (play) play.addEventListener("click", () => (timer === null ? start() : stop()));
  picker.addEventListener("change", () => showMethod(Number(picker.value)));
  for (const button of document.querySelectorAll(".filmstrip button")) {
    button.addEventListener("click", () => showFrame(Number(button.dataset.frame)));
  }
  const channel = document.getElementById("channel");
  if (channel) channel.addEventListener("change", () => {
    for (const item of document.querySelectorAll("[data-channel]")) {
      item.hidden = Boolean(channel.value) && item.dataset.channel !== channel.value;
    }
  });
  const edges = document.getElementById("outlines");
  if (edges) edges.addEventListener("change", () => {
    document.getElementById("explanation").classList.toggle("no-outlines", !edges.checked);
  });
  for (const radio of document.querySelectorAll("input[name=show]")) {
    radio.addEventListener("change", () => {
      document.getElementById("explanation").dataset.show = radio.value;
    });
  }
  showMethod(0);
})();
