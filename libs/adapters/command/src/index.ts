export type { TlsFiles } from "@heddle/port-rpc";
export { removeAddressFile, type ServerFacts, writeAddressFile } from "./address-file.ts";
export { durationOf } from "./duration.ts";
export { exitCodeOf, exitCodes, messageOf } from "./exit-codes.ts";
export { helpText } from "./help.ts";
export { didYouMean, nearest } from "./nearest.ts";
export { packageVersion } from "./package-version.ts";
export { ParentLink } from "./parent-link.ts";
export {
  adviseOnAddress,
  type RunningServer,
  runServer,
  type ServerInvocation,
  type ServerProgram,
  type ServerValues,
  serverSettings,
} from "./server.ts";
export {
  advertised,
  advertiseSetting,
  choice,
  count,
  flag,
  list,
  listenSetting,
  pairs,
  period,
  type Setting,
  text,
} from "./setting.ts";
export { resolveSettings, type SettingSources, type SettingTable } from "./settings.ts";
export { onStopSignals, type StopSignal, signalExitCode } from "./stop-signals.ts";
export { checkedAddress, type TlsValues, tlsFilesFor, tlsFilesOf, tlsSettings } from "./tls-settings.ts";
