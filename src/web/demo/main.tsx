// Starts the page.
import { render } from "preact";
import { start } from "./actions.ts";
import { Page } from "./page.tsx";
import type { CanvasName } from "./protocol.ts";
import { getState } from "./store.ts";

const root = document.querySelector("#page") as HTMLElement;
root.textContent = "";
render(<Page />, root);

const canvas = (name: CanvasName) => root.querySelector(`canvas#${name}`) as HTMLCanvasElement;
const studio = await start({
  picture: canvas("picture"),
  estimate: canvas("estimate"),
  sheet: canvas("sheet"),
  sweep: canvas("sweep"),
});

// With `?debug` in the address, tests and the curious can lose the device as a crashing driver would, and look at the page's state.
if (new URLSearchParams(location.search).has("debug"))
  Object.assign(window, { reimagen: { loseDevice: () => studio.loseDevice(), state: getState } });

if ("serviceWorker" in navigator && import.meta.env.PROD) await navigator.serviceWorker.register("service-worker.js");
