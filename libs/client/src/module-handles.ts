import type { Shipper } from "@heddle/port-shipper";

/** An object with a stand-in for every export of a module, to be captured whole or in parts. Throws TypeError for what is no file URL, CaptureError for no file. */
export function moduleHandles(shipper: Shipper, url: URL): object {
  if (isFileUrl(url)) return shipper.handle(url, "*");
  const spelling = "new URL('./tasks.ts', import.meta.url)";
  throw new TypeError(`a module is named by its file's URL, as in ${spelling}; got ${String(url)}`);
}

function isFileUrl(url: unknown): url is URL {
  return typeof url === "object" && url !== null && (url as { protocol?: unknown }).protocol === "file:";
}
