export type { Frame, Goodbye, Hello, SessionControl, Version, Welcome } from "./frame.ts";
export type { Link, LinkEnd } from "./link.ts";
export {
  type Listening,
  type MessageCodec,
  type Route,
  type RpcClient,
  type RpcServer,
  type StreamMethod,
  streamRoute,
  type UnaryMethod,
  unaryRoute,
} from "./rpc.ts";
export type { Session, SessionEnd, SessionHandler } from "./session.ts";
