// Submits a clip to a Face Vitals gateway, follows the job, prints the vitals. Plain JavaScript, no packages:
//     node docs/examples/client.mjs clip.mp4 http://127.0.0.1:8000
// `submit` and `follow` work in a browser as well. FACEVITALS_API_KEY names the key, where the gateway asks for one.

async function call(url, init = {}, key = '') {
  const headers = { ...init.headers, ...(key && { Authorization: `Bearer ${key}` }) }
  const response = await fetch(url, { ...init, headers })
  if (response.ok) return response
  const problem = await response.json().catch(() => ({}))
  throw Object.assign(new Error(problem.detail ?? `HTTP ${response.status}`), { status: response.status })
}

/** Uploads a clip (Blob or bytes); gives the job document. */
export async function submit(gateway, clip, key) {
  const headers = { 'Content-Type': 'application/octet-stream', 'Idempotency-Key': crypto.randomUUID() }
  return (await call(`${gateway}/v1/jobs`, { method: 'POST', body: clip, headers }, key)).json()
}

/** Calls `onEvent(name, data)` as things happen and gives the final document; goes on where a broken stream ended. */
export async function follow(gateway, id, onEvent, key) {
  const job = `${gateway}/v1/jobs/${id}`
  let last = '0'
  for (let failures = 0; ;) {
    try {
      const { body } = await call(`${job}/events`, { headers: { 'Last-Event-ID': last } }, key)
      let text = ''
      for await (const chunk of body?.pipeThrough(new TextDecoderStream()) ?? []) {
        const blocks = (text + chunk).split('\n\n')
        text = blocks.pop()
        for (const block of blocks) {
          const event = Object.fromEntries(block.split('\n').map((line) => line.split(/: ?(.*)/s, 2)))
          if (event.data === undefined) continue
          last = event.id ?? last
          failures = 0
          onEvent(event.event, JSON.parse(event.data))
        }
      }
      const document = await (await call(job, { headers: { Prefer: 'wait=20' } }, key)).json()
      if (document.finished_at) return document
    } catch (error) {
      if (error.status < 500 || ++failures > 6) throw error
      await new Promise((resume) => setTimeout(resume, 250 * 2 ** failures))
    }
  }
}

if (globalThis.process?.argv[1]?.endsWith('client.mjs')) {
  const { readFile } = await import('node:fs/promises')
  const [clip, gateway = 'http://127.0.0.1:8000'] = process.argv.slice(2)
  const key = process.env.FACEVITALS_API_KEY
  const { id } = await submit(gateway, await readFile(clip), key)
  console.error(`job ${id}`)
  const printEvent = (name, data) => console.error(name, data.stage ?? data.name ?? '')
  const { state, error, vitals } = await follow(gateway, id, printEvent, key)
  if (error) console.error(error.detail)
  for (const [name, { value, unit, status, reason }] of Object.entries(vitals))
    console.log([name, status, reason ?? JSON.stringify(value), reason ? '' : (unit ?? '')].join('\t'))
  process.exitCode = state === 'succeeded' ? 0 : 1
}
