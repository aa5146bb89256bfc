"""The words around a confirmation question, in ten languages: what is asked, yes and no, and the built-in fields."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class QuestionWords(BaseModel):
    """One language's words.

    `asks` has `{what}`, an action's `plain` words; `asks_this` its description, where that needs other words. `plain`
    may say a built-in action's words, `labels` the names of its fields and of their values.
    """

    model_config = ConfigDict(frozen=True)

    asks: str
    answer: str
    yes: str
    no: str
    asks_this: str = ""
    plain: dict[str, str] = {}
    labels: dict[str, str] = {}


_FIELDS = ("subject", "description", "priority", "category", "summary", "product", "contact", "urgency", "ticket_id")
_VALUES = ("low", "normal", "high", "urgent")


def _labels(names: str) -> dict[str, str]:
    return dict(zip((*_FIELDS, *_VALUES), names.split("|"), strict=True))


_WORDS = {
    "en": QuestionWords(
        asks="Shall I {what}?",
        asks_this="Shall I do this: {what}?",
        answer="Please answer yes or no.",
        yes="Yes",
        no="No",
        labels=_labels(
            "Subject|Description|Priority|Category|Summary|Product|Contact|Urgency|Ticket|low|normal|high|urgent"
        ),
    ),
    "ms": QuestionWords(
        asks="Perlukah saya lakukan ini: {what}?",
        answer="Sila jawab ya atau tidak.",
        yes="Ya",
        no="Tidak",
        plain={
            "create_ticket": "buka tiket",
            "close_conversation": "tutup perbualan ini",
            "handoff_sales": "sambungkan anda kepada pasukan jualan",
            "handoff_support": "sambungkan anda kepada pasukan sokongan",
            "ticket_status": "semak status tiket anda",
        },
        labels=_labels(
            "Perkara|Keterangan|Keutamaan|Kategori|Ringkasan|Produk|Cara dihubungi|Kesegeraan|Tiket"
            "|rendah|biasa|tinggi|segera"
        ),
    ),
    "id": QuestionWords(
        asks="Apakah saya boleh melakukan ini: {what}?",
        answer="Mohon jawab ya atau tidak.",
        yes="Ya",
        no="Tidak",
        plain={
            "create_ticket": "membuka tiket",
            "close_conversation": "menutup percakapan ini",
            "handoff_sales": "menghubungkan Anda dengan tim penjualan",
            "handoff_support": "menghubungkan Anda dengan tim dukungan",
            "ticket_status": "memeriksa status tiket Anda",
        },
        labels=_labels(
            "Perihal|Keterangan|Prioritas|Kategori|Ringkasan|Produk|Cara dihubungi|Urgensi|Tiket"
            "|rendah|normal|tinggi|mendesak"
        ),
    ),
    "zh": QuestionWords(
        asks="需要我执行这项操作吗：{what}？",
        answer="请回复“是”或“不”。",
        yes="是",
        no="不",
        plain={
            "create_ticket": "创建工单",
            "close_conversation": "结束本次对话",
            "handoff_sales": "为您转接销售团队",
            "handoff_support": "为您转接客服同事",
            "ticket_status": "查询您的工单状态",
        },
        labels=_labels("主题|说明|优先级|类别|摘要|产品|联系方式|紧急程度|工单|低|普通|高|紧急"),
    ),
    "es": QuestionWords(
        asks="¿Quiere que haga esto: {what}?",
        answer="Responda sí o no.",
        yes="Sí",
        no="No",
        plain={
            "create_ticket": "abrir un ticket",
            "close_conversation": "cerrar esta conversación",
            "handoff_sales": "pasarle con nuestro equipo de ventas",
            "handoff_support": "pasarle con un compañero de soporte",
            "ticket_status": "consultar el estado de su ticket",
        },
        labels=_labels(
            "Asunto|Descripción|Prioridad|Categoría|Resumen|Producto|Contacto|Urgencia|Ticket|baja|normal|alta|urgente"
        ),
    ),
    "pt": QuestionWords(
        asks="Devo fazer isto: {what}?",
        answer="Responda sim ou não.",
        yes="Sim",
        no="Não",
        plain={
            "create_ticket": "abrir um chamado",
            "close_conversation": "encerrar esta conversa",
            "handoff_sales": "passar você para a nossa equipe de vendas",
            "handoff_support": "passar você para um colega do suporte",
            "ticket_status": "consultar o estado do seu chamado",
        },
        labels=_labels(
            "Assunto|Descrição|Prioridade|Categoria|Resumo|Produto|Contato|Urgência|Chamado|baixa|normal|alta|urgente"
        ),
    ),
    "fr": QuestionWords(
        asks="Dois-je faire ceci : {what} ?",
        answer="Répondez oui ou non.",
        yes="Oui",
        no="Non",
        plain={
            "create_ticket": "ouvrir un ticket",
            "close_conversation": "clore cette conversation",
            "handoff_sales": "vous mettre en relation avec notre équipe commerciale",
            "handoff_support": "vous mettre en relation avec un collègue du support",
            "ticket_status": "consulter l’état de votre ticket",
        },
        labels=_labels(
            "Objet|Description|Priorité|Catégorie|Résumé|Produit|Contact|Urgence|Ticket|basse|normale|haute|urgente"
        ),
    ),
    "de": QuestionWords(
        asks="Soll ich das tun: {what}?",
        answer="Bitte antworten Sie mit ja oder nein.",
        yes="Ja",
        no="Nein",
        plain={
            "create_ticket": "ein Ticket eröffnen",
            "close_conversation": "dieses Gespräch beenden",
            "handoff_sales": "Sie mit unserem Vertrieb verbinden",
            "handoff_support": "Sie mit dem Support verbinden",
            "ticket_status": "nachsehen, wie Ihr Ticket steht",
        },
        labels=_labels(
            "Betreff|Beschreibung|Priorität|Kategorie|Zusammenfassung|Produkt|Kontakt|Dringlichkeit|Ticket"
            "|niedrig|normal|hoch|dringend"
        ),
    ),
    "ar": QuestionWords(
        asks="هل أقوم بهذا: {what}؟",
        answer="يرجى الإجابة بنعم أو لا.",
        yes="نعم",
        no="لا",
        plain={
            "create_ticket": "فتح تذكرة",
            "close_conversation": "إغلاق هذه المحادثة",
            "handoff_sales": "تحويلك إلى فريق المبيعات",
            "handoff_support": "تحويلك إلى زميل في الدعم",
            "ticket_status": "الاطلاع على حالة تذكرتك",
        },
        labels=_labels(
            "الموضوع|الوصف|الأولوية|الفئة|الملخص|المنتج|وسيلة الاتصال|درجة الاستعجال|التذكرة|منخفضة|عادية|عالية|عاجلة"
        ),
    ),
    "hi": QuestionWords(
        asks="क्या मैं यह करूँ: {what}?",
        answer="कृपया हाँ या नहीं में उत्तर दें।",
        yes="हाँ",
        no="नहीं",
        plain={
            "create_ticket": "टिकट खोलना",
            "close_conversation": "यह बातचीत समाप्त करना",
            "handoff_sales": "आपको हमारी बिक्री टीम से जोड़ना",
            "handoff_support": "आपको सहायता टीम से जोड़ना",
            "ticket_status": "आपके टिकट की स्थिति देखना",
        },
        labels=_labels("विषय|विवरण|प्राथमिकता|श्रेणी|सारांश|उत्पाद|संपर्क|तात्कालिकता|टिकट|निम्न|सामान्य|उच्च|अत्यावश्यक"),
    ),
}


def words_for(language: str) -> QuestionWords:
    """The words of *language* (`de`, `de-AT`); English for one we do not have."""
    return _WORDS.get(language.partition("-")[0].lower(), _WORDS["en"])
