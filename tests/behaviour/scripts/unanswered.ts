/** Connects where nobody answers, and has nothing else to do. */
import { connect } from "heddle";

try {
  await connect(process.env.HEDDLE_ADDRESS, { timeoutMs: 300 });
} catch (error) {
  console.log(error instanceof Error ? error.name : String(error));
}
