import type { Strings } from './strings'

export const de: Strings = {
  language: 'Deutsch',
  title: 'Face Vitals',
  skip: 'Zum Inhalt',
  notice: 'Schätzwerte für Wohlbefinden und Forschung. Kein Medizinprodukt.',
  licences: 'Lizenzen der Bestandteile dieser Seite',
  settings: { language: 'Sprache', theme: 'Darstellung', themes: { system: 'System', light: 'Hell', dark: 'Dunkel' } },

  consent: {
    heading: 'Ihre Vitalwerte aus 15 Sekunden Video',
    lead: 'Schauen Sie 15 Sekunden in Ihre Kamera. Sie erhalten Herzfrequenz, Atmung und mehr, jeweils mit der Angabe, wie sicher der Wert ist, oder mit dem Grund, warum er sich nicht bestimmen ließ.',
    promise: 'Bevor Sie beginnen',
    sent: ['Was gesendet wird', 'Ein Video Ihres Gesichts, ohne Ton, an diesen Server und nirgendwohin sonst.'],
    kept: [
      'Was gespeichert wird',
      'Die Zahlen und die Pulswelle, für begrenzte Zeit und unter einer Adresse, die nur Sie erhalten.',
    ],
    erased: [
      'Was gelöscht wird',
      'Das Video, sobald es ausgewertet ist. Alles Übrige, wenn Sie auf „Jetzt löschen“ drücken.',
    ],
    agree: 'Einverstanden, Kamera einschalten',
    upload: 'Einverstanden, stattdessen Video hochladen',
    uploadHint: 'MP4, MOV, WebM oder MKV, 1 bis 120 Sekunden, das Gesicht gut sichtbar.',
  },

  files: {
    empty: 'Diese Datei ist leer. Wählen Sie ein Video, oder nehmen Sie hier auf.',
    picture:
      'Diese Datei ist ein Foto. Der Puls lässt sich nur aus einem Video lesen: wählen Sie eines, oder nehmen Sie hier auf.',
    sound: 'Diese Datei hat Ton, aber kein Video. Wählen Sie ein Video Ihres Gesichts, oder nehmen Sie hier auf.',
    document:
      'Diese Datei ist ein Dokument, kein Video. Wählen Sie ein Video Ihres Gesichts, oder nehmen Sie hier auf.',
  },

  capture: {
    heading: 'Bringen Sie Ihr Gesicht in den Ring',
    camera: 'Kamera',
    cameraNumbered: (n) => `Kamera ${n}`,
    cancel: 'Abbrechen',
    restart: 'Neu beginnen',
    insist: 'Trotzdem aufnehmen',
    insistHint:
      'Aufnehmen, ohne auf bessere Bedingungen zu warten; die Auswertung sagt, was sie nicht erkennen konnte.',
    starting: 'Die Kamera wird eingeschaltet…',
    unchecked: 'Ihr Browser kann das Bild nicht auf ein Gesicht prüfen. Halten Sie Ihr Gesicht im Ring.',
    video: 'Bild Ihrer Kamera, gespiegelt',
    secondsLeft: (s) => (s === 1 ? 'noch 1 Sekunde' : `noch ${s} Sekunden`),
    interrupted: 'Die Seite war im Hintergrund, wo die Kamera anhält; die Aufnahme beginnt von vorn.',
    restarted: 'Das hat zu lange gedauert; die Aufnahme beginnt von vorn.',
    phases: {
      searching: 'Vorbereitung',
      settling: 'Gleich geht es los',
      recording: 'Aufnahme läuft',
      recovering: 'Wir warten auf Sie',
      done: 'Fertig',
    },
    sentences: {
      settling: 'Gut. Halten Sie still, die Kamera stellt sich ein.',
      recording: 'Schauen Sie in die Kamera und atmen Sie wie gewohnt.',
      done: 'Danke. Sie können sich wieder bewegen.',
    },
    problems: {
      no_face: 'Bringen Sie Ihr Gesicht in den Ring.',
      several_faces: 'Bitte nur eine Person im Bild.',
      too_far: 'Kommen Sie etwas näher.',
      too_near: 'Gehen Sie etwas zurück.',
      off_centre: 'Bringen Sie Ihr Gesicht in die Mitte des Rings.',
      too_dark: 'Bitte mehr Licht auf das Gesicht: wenden Sie sich zu einem Fenster oder einer Lampe.',
      too_bright: 'Zu viel Licht: wenden Sie sich etwas von der Lampe ab.',
      uneven_light: 'Das Licht kommt von der Seite: wenden Sie sich zum Fenster oder zur Lampe.',
      moving: 'Halten Sie den Kopf still.',
      slow_camera: 'Die Kamera liefert wenige Bilder: mehr Licht hilft, und andere Programme zu schließen.',
    },
    trouble: {
      heading: 'Die Kamera ist nicht verfügbar',
      insecure:
        'Browser öffnen eine Kamera nur auf einer sicheren Seite. Öffnen Sie diese Seite über https oder auf demselben Rechner als http://127.0.0.1, oder laden Sie ein Video hoch.',
      unsupported:
        'Dieser Browser kann kein Video aufnehmen. Verwenden Sie ein aktuelles Chrome, Edge, Firefox oder Safari, oder laden Sie ein Video hoch.',
      refused:
        'Die Kamera wurde nicht erlaubt. Erlauben Sie sie in der Adresszeile Ihres Browsers und versuchen Sie es erneut, oder laden Sie ein Video hoch.',
      missing:
        'Es wurde keine Kamera gefunden. Schließen Sie eine an und versuchen Sie es erneut, oder laden Sie ein Video hoch.',
      busy: 'Ein anderes Programm scheint die Kamera zu verwenden. Schließen Sie es und versuchen Sie es erneut, oder laden Sie ein Video hoch.',
      lost: 'Die Kamera wurde getrennt. Schließen Sie sie an und versuchen Sie es erneut, oder laden Sie ein Video hoch.',
      retry: 'Erneut versuchen',
    },
  },

  job: {
    heading: {
      busy: 'Ihre Vitalwerte sind unterwegs',
      done: 'Ihre Vitalwerte',
      failed: 'Dieses Video ließ sich nicht auswerten',
      cancelled: 'Die Auswertung wurde abgebrochen',
    },
    uploading: 'Das Video wird gesendet',
    uploaded: (percent) => `${percent} %`,
    queued: 'Warten auf eine freie Auswertung…',
    queuedFor: (s) => `Andere Videos sind vor Ihrem an der Reihe: noch etwa ${s} Sekunden…`,
    queuedLong:
      'Noch hat keine Auswertung das Video übernommen. Sie können warten (kommt keine rechtzeitig, sagt diese Seite es) oder das Video löschen und es später versuchen.',
    stage: (branch, stage) => `${branch}: ${stage}`,
    branches: { vision: 'Gesicht', rppg: 'Puls' },
    branchStatus: {
      pending: 'wartet',
      running: 'arbeitet',
      ok: 'fertig',
      error: 'gescheitert',
      timeout: 'keine Antwort in der Frist',
      skipped: 'nicht angefragt',
    },
    stages: {
      'decoding and tracking': 'liest das Video, folgt dem Gesicht',
      estimating: 'schätzt',
    },
    link: {
      polling: 'Laufende Meldungen kommen nicht durch; stattdessen wird ab und zu nachgefragt.',
      reconnecting: 'Verbindung verloren. Neuer Versuch…',
    },
    clipErased: 'Das Video wurde vom Server gelöscht.',
    again: 'Noch einmal messen',
    vitals: 'Vitalwerte',
    waves: 'Puls und Atmung',
    checks: 'Prüfungen der Aufnahme',
    warnings: 'Hinweise zum Video',
    pending: 'In Arbeit…',
    kinds: {
      ok: 'Geschätzt',
      experimental: 'Experimentell',
      abstained: 'Nicht bestimmbar',
      unavailable: 'Nicht verfügbar',
    },
    couldNotTell: (reason) => `Nicht bestimmbar: ${reason}`,
    notAvailable: (reason) => `Nicht verfügbar: ${reason}`,
    noReading: 'Kein Wert',
    interval: (low, high, percent) => `${low} bis ${high}, mit ${percent} % Sicherheit`,
    noInterval: 'Für diesen Wert ist kein Intervall bekannt.',
    typical: (low, high) => `Üblich bei Erwachsenen in Ruhe: ${low} bis ${high}`,
    barLabel: (value, interval, typical) => [value, interval, typical].filter(Boolean).join('. '),
    experimental: 'Experimentell: so nicht validiert. Verlassen Sie sich nicht darauf.',
    probability: (percent) => `zu ${percent} % sicher`,
    score: (score) => `Punktwert ${score}`,
    how: 'Wie dies bestimmt wurde',
    method: (name, version) => `Verfahren: ${name} ${version}`,
    models: (names) => `Modelle: ${names}`,
    frames: (count) => `Verwendete Bilder: ${count}`,
    baseline: (value, mae) => `Zum Vergleich: immer ${value} zu antworten, läge im Mittel um ${mae} daneben.`,
    downloads: {
      heading: 'Behalten oder löschen',
      json: 'Ergebnis (JSON)',
      fhir: 'Gesundheitsakte (FHIR)',
      csv: 'Wellen (CSV)',
    },
    delete: {
      now: 'Jetzt löschen',
      explain: 'Löscht Zahlen, Wellen und Ereignisse vom Server, sofort und endgültig.',
      cancel: 'Abbrechen und löschen',
      done: 'Alles wurde gelöscht',
      doneLead: 'Von dieser Messung ist nichts mehr auf dem Server.',
      failed: 'Konnte nicht gelöscht werden: der Server hat nicht geantwortet. Versuchen Sie es erneut.',
    },
    gone: 'Dieses Ergebnis gibt es nicht mehr',
    goneLead: 'Es wurde gelöscht oder ist abgelaufen, oder die Adresse ist falsch.',
  },

  failures: {
    heading: 'Das Video wurde nicht angenommen',
    network:
      'Der Server war nicht erreichbar. Ihr Video wurde nicht ausgewertet. Prüfen Sie die Verbindung und senden Sie es erneut.',
    tooLarge: 'Das Video ist zu groß für diesen Server. Senden Sie ein kürzeres, oder nehmen Sie hier auf.',
    notVideo:
      'Diese Datei ist kein Video, das dieser Server annimmt. Wandeln Sie sie in MP4 (H.264) um, oder nehmen Sie hier auf.',
    keyHeading: 'Bitte einen Zugangsschlüssel',
    key: 'Dieser Server wertet Videos nur mit einem Schlüssel aus. Wer ihn betreibt, kann Ihnen einen geben.',
    keyLabel: 'Zugangsschlüssel',
    keyUse: 'Schlüssel verwenden',
    busy: (s) =>
      s
        ? `Der Server ist ausgelastet. Senden Sie es in ${s} Sekunden erneut.`
        : 'Der Server ist ausgelastet. Senden Sie es gleich noch einmal.',
    paused: 'Der Dienst macht eine Pause zur Wartung. Nichts wurde gespeichert. Senden Sie es später noch einmal.',
    away: 'Der Dienst ist gerade nicht bereit. Senden Sie es gleich noch einmal.',
    other: (detail) => `Der Server hat das Video abgelehnt: ${detail}`,
    recording:
      'Der Browser konnte die Aufnahme nicht abschließen. Nehmen Sie erneut auf, oder laden Sie ein Video hoch.',
    unshown:
      'Die Seite kann das nicht anzeigen. Versuchen Sie es noch einmal; bleibt es dabei, sagen Sie es dem Betreiber.',
    unshownHeading: 'Hier ging etwas schief',
    retry: 'Noch einmal versuchen',
    resend: 'Erneut senden',
    back: 'Zurück zum Anfang',
  },

  vitals: {
    heart_rate: 'Herzfrequenz',
    respiration_rate: 'Atemfrequenz',
    heart_rate_variability: 'Herzratenvariabilität',
    oxygen_saturation: 'Sauerstoffsättigung',
    stress: 'Stress',
    age: 'Scheinbares Alter',
    gender: 'Scheinbares Geschlecht',
    bmi: 'Body-Mass-Index',
  },
  measures: {
    sdnn_ms: 'SDNN',
    rmssd_ms: 'RMSSD',
    pnn50: 'pNN50',
    lf_hf: 'LF/HF',
    mean_ibi_ms: 'Mittlerer Schlagabstand',
  },
  units: { '/min': 'pro Minute', '%': '%', years: 'Jahre', 'kg/m2': 'kg/m²', ms: 'ms' },
  values: { female: 'weiblich', male: 'männlich', stress: 'gestresst', no_stress: 'nicht gestresst' },
  checks: {
    face: 'Gesicht',
    obstruction: 'Nichts verdeckt das Gesicht',
    liveness: 'Eine lebende Person',
    lighting: 'Licht',
    motion: 'Ruhe',
    timing: 'Zeitfolge der Bilder',
  },
  verdicts: { pass: 'gut', warn: 'mäßig', fail: 'nicht gut genug', unknown: 'nicht bekannt' },

  reasons: {
    clip_too_short: [
      'das Video ist dafür zu kurz',
      'Nehmen Sie volle 15 Sekunden auf; manche Werte brauchen ein längeres Video (hochgeladen bis 120 Sekunden).',
    ],
    frame_rate_low: [
      'die Kamera hat zu wenige Bilder in der Sekunde geliefert',
      'Sorgen Sie für mehr Licht und schließen Sie andere Programme, die Kamera oder Prozessor brauchen.',
    ],
    timing_gaps: ['in der Aufnahme fehlen Bilder', 'Schließen Sie andere Programme und nehmen Sie erneut auf.'],
    no_face: ['es wurde kein Gesicht gefunden', 'Schauen Sie in die Kamera, mit dem ganzen Gesicht im Ring.'],
    face_lost: ['das Gesicht war zu lange nicht zu sehen', 'Bleiben Sie während der ganzen Aufnahme im Ring.'],
    multiple_faces: ['es war mehr als ein Gesicht zu sehen', 'Nehmen Sie mit nur einer Person im Bild auf.'],
    face_obstructed: [
      'etwas verdeckt das Gesicht',
      'Nehmen Sie Maske oder Brille ab, halten Sie Haare und Hände von Stirn und Wangen fern.',
    ],
    face_too_small: ['das Gesicht ist zu klein im Bild', 'Kommen Sie näher an die Kamera.'],
    motion: [
      'es gab zu viel Bewegung',
      'Lehnen Sie Rücken oder Kopf an, sprechen Sie nicht, und nehmen Sie erneut auf.',
    ],
    low_light: ['es gab zu wenig Licht', 'Setzen Sie sich mit dem Gesicht zu einem Fenster oder einer Lampe.'],
    lighting_unstable: [
      'das Licht hat sich während der Aufnahme verändert',
      'Meiden Sie flackernde Lampen, Bildschirme und wandernde Schatten.',
    ],
    no_colour: ['das Bild hat keine Farbe', 'Nehmen Sie mit einer Farbkamera bei sichtbarem Licht auf.'],
    high_dynamic_range: [
      'das Video wurde in HDR aufgenommen',
      'Schalten Sie HDR-Video in den Einstellungen der Kamera aus, und nehmen Sie erneut auf.',
    ],
    not_calibrated: [
      'die Kamera wurde dafür nicht kalibriert',
      'Wer diesen Server betreibt, kann eine Kamera mit einem Fingeroximeter kalibrieren. Bis dahin sagt der Wert wenig aus.',
    ],
    no_pulse: [
      'es war kein deutlicher Puls zu sehen',
      'Helles, gleichmäßiges Licht auf bloßer Haut und ein ruhiger Kopf helfen am meisten.',
    ],
    estimators_disagree: [
      'die Verfahren waren sich nicht einig',
      'Halten Sie in gleichmäßigem Licht still und nehmen Sie erneut auf.',
    ],
    no_breathing_signal: [
      'es war keine deutliche Atmung zu sehen',
      'Zeigen Sie auch die Schultern, und atmen Sie wie gewohnt.',
    ],
    too_uncertain: [
      'das Ergebnis wäre nicht sicherer als geraten',
      'Helles, gleichmäßiges Licht, ein ruhiger Kopf und ein längeres Video helfen am meisten.',
    ],
    not_at_rest: [
      'das Herz schlägt schneller als in Ruhe, und Anstrengung sieht genauso aus',
      'Ruhen Sie einige Minuten, und nehmen Sie erneut auf.',
    ],
    irregular_pulse: [
      'die Herzschläge kommen in ungleichen Abständen',
      'Wiederholen Sie die Messung. Bleibt es so, gehen Sie zu einer Ärztin oder einem Arzt.',
    ],
    not_live: [
      'das Bild sieht nicht nach einer lebenden Person aus',
      'Nehmen Sie sich selbst auf, kein Foto und keinen Bildschirm.',
    ],
    model_not_installed: [
      'auf diesem Server fehlt, was dafür nötig ist',
      'Wer diesen Server betreibt, kann es installieren; die Liste der Modelle sagt wie.',
    ],
    clip_rejected: ['das Video ließ sich nicht lesen', 'Nehmen Sie erneut auf, oder senden Sie eine andere Datei.'],
    branch_failed: [
      'dieser Teil der Auswertung ist gescheitert',
      'Nehmen Sie erneut auf. Bleibt es so, sagen Sie es der Stelle, die diesen Server betreibt.',
    ],
    branch_timeout: [
      'dieser Teil der Auswertung hat nicht rechtzeitig geantwortet',
      'Versuchen Sie es später. Bleibt es so, sagen Sie es der Stelle, die diesen Server betreibt.',
    ],
    queue_timeout: [
      'der Server hatte dafür keine Zeit, weil zu viele Aufnahmen warteten',
      'Versuchen Sie es in einigen Minuten erneut.',
    ],
    not_requested: ['es war nicht angefragt', 'Nichts zu tun.'],
  },

  errors: {
    clip_undecodable:
      'Das Video ließ sich nicht lesen. Vielleicht ist es beschädigt; nehmen Sie es neu auf oder exportieren Sie es neu.',
    clip_too_short: 'Das Video ist zu kurz. Es muss mindestens eine Sekunde dauern, für gute Ergebnisse 15 Sekunden.',
    clip_too_long: 'Das Video ist zu lang. Senden Sie höchstens 120 Sekunden.',
    clip_too_large: 'Die Bilder des Videos sind zu groß. Senden Sie es in niedrigerer Auflösung.',
    container_not_allowed:
      'Das Format der Datei wird von diesem Server nicht angenommen. Senden Sie MP4, MOV, WebM oder MKV.',
    codec_not_allowed:
      'Das Video ist auf eine Weise kodiert, die nicht angenommen wird. Verwenden Sie H.264, HEVC, VP8, VP9 oder AV1.',
    no_video: 'Die Datei enthält kein Video.',
    clip_missing: 'Das Video war fort, bevor es ausgewertet werden konnte. Senden Sie es erneut.',
    branch_failed:
      'Die Auswertung ist gescheitert. Nehmen Sie erneut auf. Bleibt es so, sagen Sie es der Stelle, die diesen Server betreibt.',
    queue_timeout:
      'Der Server hatte für Ihre Aufnahme keine Zeit, weil zu viele warteten. Versuchen Sie es in einigen Minuten erneut.',
    branch_timeout:
      'Die Auswertung hat nicht rechtzeitig geantwortet. Versuchen Sie es später. Bleibt es so, sagen Sie es der Stelle, die diesen Server betreibt.',
  },

  warnings: {
    rotated_by_face:
      'Das Gesicht lag auf der Seite oder stand auf dem Kopf; das Video wurde aufgerichtet. Die Aufnahme enthält nicht, wie die Kamera gehalten wurde.',
    mirrored: 'Das Video ist gespiegelt gespeichert. Für die Auswertung wurde es zurückgespiegelt.',
    pixels_not_square: 'Die Bildpunkte des Videos sind nicht quadratisch. Die Bilder wurden entsprechend skaliert.',
    size_changed:
      'Die Größe des Bildes ändert sich während der Aufnahme. Halten Sie das Gerät beim Aufnehmen in einer Lage.',
    high_dynamic_range:
      'Das Video hat einen hohen Dynamikumfang (HDR) und wurde umgerechnet. Schalten Sie HDR-Video in der Kamera aus, um die besten Ergebnisse zu erhalten.',
    grey_picture: 'Das Bild hat keine Farbe. Nehmen Sie mit einer Farbkamera bei sichtbarem Licht auf.',
    video_tracks_ignored: 'Die Datei hat mehr als eine Videospur. Eine davon wurde ausgewertet.',
  },

  plots: {
    pulse: 'Pulswelle',
    breathing: 'Atemwelle',
    pulseSpectrum: 'Pulsspektrum',
    breathingSpectrum: 'Atemspektrum',
    seconds: 'Sekunden',
    perMinute: 'pro Minute',
    describeWave: (name, s) => `${name} über ${s} Sekunden`,
    describeSpectrum: (name, peak) => `${name}, am stärksten bei ${peak} pro Minute`,
  },
}
