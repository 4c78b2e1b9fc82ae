/// <reference types="vite/client" />
declare module '*.tflite?url' {
  const url: string
  export default url
}
