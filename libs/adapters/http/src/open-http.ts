import type { HttpListening, HttpOptions } from "./serve-http.ts";

/** `serveHttp` where an address was given; what it takes is loaded only then. Undefined where none was. */
export async function openHttp(
  address: string | undefined,
  options: Omit<HttpOptions, "address">,
): Promise<HttpListening | undefined> {
  if (address === undefined) return undefined;
  const { serveHttp } = await import("./serve-http.ts");
  return serveHttp({ ...options, address });
}

/** What a server says of it to whoever waits for it. */
export function httpFacts(listening: HttpListening | undefined): { readonly http?: string } {
  return listening === undefined ? {} : { http: listening.address };
}
