export { httpFacts, openHttp } from "./open-http.ts";
export type { HttpListening, HttpOptions } from "./serve-http.ts";
