export { access, descriptorSetUrl } from "@heddle/wire";
export {
  GATHERED_BYTES_MAX,
  LAST_HEARING_MS,
  PARKED_BYTES_MAX,
  REPLY_BACKLOG_BYTES,
  SESSION_TTL_MS,
  SESSION_TTL_MS_MAX,
  SESSION_TTL_MS_MIN,
} from "./limits.ts";
export { type ManagerOptions, ManagerShell } from "./manager.ts";
export { TTL_BOUNDS, type TtlBounds } from "./ttl.ts";
