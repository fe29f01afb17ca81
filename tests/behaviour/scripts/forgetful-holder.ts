/** Holds a lock of a minute's lease at the fabric whose address it is given, says so, and comes to its end: it closes nothing, and its last write is not awaited. */
import { connect, Manager } from "heddle";

const [, , address] = process.argv;
const manager = new Manager({ fabric: await connect(address), ttlMs: 60_000 });
const guard = await manager.lock({ name: "held" }).acquire();
process.stdout.write(`${JSON.stringify({ held: Number(guard.token) })}\n`);
void manager.list<string>([], { name: "written" }).append("at the end");
