/** Builds the web client where it is missing or stale, as a start would: for an image, whose server can't write it. */
import { ensureClientBuilt } from '../server/http/clientBuild.ts'

await ensureClientBuilt(console.log)
