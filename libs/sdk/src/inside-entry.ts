/** The module that `heddle` is inside a worker: source beside source and built beside built. */
export const insideUrl = new URL(import.meta.url.endsWith(".ts") ? "./inside.ts" : "./inside.js", import.meta.url).href;
