export { connect } from "./connect.ts";
export * from "./exports.ts";
export { Pool } from "./pool.ts";
