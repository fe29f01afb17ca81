import type { AnyFunction, Shipper } from "@heddle/port-shipper";

/** An object with a stand-in for every export of a module, each made when it is asked for. Throws TypeError for what is no file URL. */
export function moduleHandles(shipper: Shipper, url: URL): object {
  if (!isFileUrl(url)) {
    const spelling = "new URL('./tasks.ts', import.meta.url)";
    throw new TypeError(`a module is named by its file's URL, as in ${spelling}; got ${String(url)}`);
  }
  const handles = new Map<string, AnyFunction>();
  return new Proxy(Object.freeze(Object.create(null)), {
    get: (_target, name) => {
      if (typeof name === "symbol" || name === "then") return undefined; // it is no promise: awaiting it gives it
      const handle = handles.get(name) ?? shipper.handle(url, name);
      handles.set(name, handle);
      return handle;
    },
  });
}

function isFileUrl(url: unknown): url is URL {
  return typeof url === "object" && url !== null && (url as { protocol?: unknown }).protocol === "file:";
}
