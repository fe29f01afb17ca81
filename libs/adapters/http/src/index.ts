export { type HttpListening, type HttpOptions, serveHttp } from "./serve-http.ts";
